// `headgate filter new`: a project for a filter of one's own, made from the example that is tested here.
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { packagePath } from "../agent/package-root.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { tellUsage } from "./filter-options.js";

const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?$/;
const EXAMPLE = "hello";
/** Files of the example that speak of its name. */
const NAMED = ["package.json", "plugin.yaml", "README.md"];
const COPIED = ["assembly/filter.ts", "test/filter.test.mjs", "test/proxy-host.mjs", "go-live.mjs"];
/** The calls to Envoy, which a project has with it. */
const ABI = ["host.ts", "env.ts", "wasi_snapshot_preview1.ts"];
/** The way from the example to them. */
const ABI_FROM_EXAMPLE = "../../../../filters/abi/";

export const filterNewCommand: CommandDefinition = {
  name: "filter new",
  summary: "make a project for a filter of your own: code, tests, and what takes it live",
  description:
    "The project is in AssemblyScript and stands by itself: npm install gets its compiler. With the demo running\n" +
    "(npm start), three commands take it live:\n\n" +
    "  headgate filter new hello\n  cd hello && npm install\n  npm run go-live",
  arguments: [{ name: "name", summary: "the filter's name, and the directory's", required: true }],
  options: [
    { flags: "--filters <dir>", summary: "the registry's directory (default: the demo's)" },
    { flags: "--policies <dir>", summary: "a directory of policies of the control plane's (default: the demo's)" },
  ],

  async run([name = ""], options, io) {
    if (!NAME.test(name) || name.startsWith("headgate."))
      return tellUsage(this.name, `${name} is no name for a filter: lower-case letters, digits, - and .`, io);
    const project = resolve(io.cwd, name);
    if ((await mkdir(project, { recursive: true })) === undefined)
      return tellUsage(this.name, `${name} is there already`, io);
    const given = (option: unknown, ofDemo: string) =>
      typeof option === "string" ? resolve(io.cwd, option) : packagePath(".headgate", "demo", ofDemo);
    await writeProject(project, name);
    const settings = {
      command: packagePath("bin", "headgate.mjs"),
      filters: given(options.filters, "filters"),
      policies: given(options.policies, "policies"),
      steps: "50%,100%",
      hold: "5s",
    };
    await writeFile(join(project, "headgate.json"), `${JSON.stringify(settings, null, 2)}\n`);
    io.stdout.write(`${relative(io.cwd, project)}/ is made. Next:\n  cd ${name} && npm install\n  npm run go-live\n`);
    return exitCode.ok;
  },
};

async function writeProject(project: string, name: string): Promise<void> {
  const example = (file: string) => packagePath("examples", "filters", EXAMPLE, file);
  for (const file of COPIED) {
    await mkdir(dirname(join(project, file)), { recursive: true });
    await cp(example(file), join(project, file));
  }
  for (const file of NAMED) {
    const text = await readFile(example(file), "utf8");
    await writeFile(join(project, file), text.replaceAll(new RegExp(`\\b${EXAMPLE}\\b`, "g"), name));
  }
  const proxy = await readFile(example("assembly/proxy.ts"), "utf8");
  await writeFile(join(project, "assembly", "proxy.ts"), proxy.replace(ABI_FROM_EXAMPLE, "./abi/"));
  await mkdir(join(project, "assembly", "abi"));
  for (const file of ABI) await cp(packagePath("filters", "abi", file), join(project, "assembly", "abi", file));
  await writeFile(join(project, ".gitignore"), "build/\nnode_modules/\nheadgate.json\n");
}
