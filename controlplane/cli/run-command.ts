// A command line -> the command that it asks for, run. The commands are data, which is registered here.
import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { packagePath } from "../agent/package-root.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { loadCommands } from "./commands.js";

/** Commands whose names begin with the same word stand under that. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ["filter", "keep versions of filters, and swap them in running proxies"],
]);

const HELP_HINT = "(add --help for what there is)";

/** Runs a command line (without node and script) and resolves with the exit code. */
export async function runCommand(words: readonly string[], io: CommandIo): Promise<number> {
  let code: number = exitCode.ok;
  const program = new Command("headgate")
    .description("Istio traffic policies on stock Envoys, decided by one small Wasm filter.")
    .version(packageVersion(), "--version", "print the version")
    // Behind a command --version is that command's own.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    })
    .showHelpAfterError(HELP_HINT);
  for (const definition of await loadCommands(words[0])) {
    const [group, rest] = definition.name.split(" ");
    const parent = rest === undefined ? program : groupOf(program, group as string);
    const command = toCommand(definition, async (args, options) => {
      code = await definition.run(args, options, io);
    });
    parent.addCommand(command.copyInheritedSettings(program));
  }
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  }
  return code;
}

function packageVersion(): string {
  return JSON.parse(readFileSync(packagePath("package.json"), "utf8")).version;
}

function groupOf(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  if (known) return known;
  const group = new Command(name).summary(GROUPS.get(name) ?? "").copyInheritedSettings(program);
  group.description(`${GROUPS.get(name)}.`);
  program.addCommand(group);
  return group;
}

function toCommand(
  definition: CommandDefinition,
  run: (args: readonly string[], options: OptionValues) => Promise<void>,
): Command {
  const command = new Command(definition.name.split(" ").at(-1))
    .summary(definition.summary)
    .description([`${definition.summary}.`, unwrapped(definition.description)].filter(Boolean).join("\n\n"));
  for (const { name, required, variadic, summary } of definition.arguments ?? []) {
    const word = variadic ? `${name}...` : name;
    command.argument(required ? `<${word}>` : `[${word}]`, summary);
  }
  for (const option of definition.options) command.addOption(toOption(option));
  command.action(async () => run(command.args, command.opts()));
  return command;
}

/** Paragraphs as one line each, which are then broken to the terminal's width; indented lines stay. */
function unwrapped(description: string | undefined): string | undefined {
  return description?.replace(/(?<=\S)\n(?=\S)/g, " ");
}

function toOption(definition: CommandDefinition["options"][number]): Option {
  const option = new Option(definition.flags, definition.summary);
  if (definition.required) option.makeOptionMandatory();
  if (definition.choices) option.choices([...definition.choices]);
  if (definition.default !== undefined) option.default(definition.default);
  if (definition.repeatable) {
    option.argParser((word: string, before: readonly string[] | undefined) => [...(before ?? []), word]);
  }
  return option;
}
