// `headgate validate`: each object's own faults, without a control plane.
import { resolve } from "node:path";
import { readFiles } from "../sources/read-files.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { counted, violationJson, violationText } from "./violation-text.js";

export const validateCommand: CommandDefinition = {
  name: "validate",
  summary: "check files or directories of policies, and say all that is wrong with them",
  description:
    "Checks each object by itself: its fields, their types, ranges and syntax. Exits with 0 when there is no error, with\n" +
    "65 when there is one. Warnings are shown and do not change the exit code.\n\n" +
    "Example:\n  headgate validate policies/ -o json",
  arguments: [{ name: "path", summary: "YAML files or directories of them", required: true, variadic: true }],
  options: [
    { flags: "--namespace <namespace>", summary: "the namespace of objects that name none", default: "default" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["text", "json"], default: "text" },
  ],

  async run(args, options, io) {
    const paths = args.map((path) => resolve(io.cwd, path));
    const read = await readFiles(paths, String(options.namespace));
    // That two files define one object is a matter between objects: headgate analyze tells of it.
    const violations = read.violations.filter(({ code }) => code !== "duplicate-object");
    const errors = violations.filter((violation) => violation.severity === "error").length;
    if (options.output === "json") {
      io.stdout.write(
        `${JSON.stringify({ objects: read.objects, violations: violations.map(violationJson) }, null, 2)}\n`,
      );
    } else {
      for (const violation of violations) io.stdout.write(`${violationText(violation)}\n`);
      const warnings = violations.length - errors;
      io.stdout.write(
        `${counted(read.objects, "object")}, ${counted(errors, "error")}, ${counted(warnings, "warning")}\n`,
      );
    }
    return errors > 0 ? exitCode.violations : exitCode.ok;
  },
};
