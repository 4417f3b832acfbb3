// `headgate analyze`: faults between objects, and those of single objects with them, without a control plane.
import { resolve } from "node:path";
import type { Severity, Violation } from "../resources/violation.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { readMesh } from "./offline.js";
import { table } from "./table.js";
import { violationJson } from "./violation-text.js";

export const analyzeCommand: CommandDefinition = {
  name: "analyze",
  summary: "check how policies work together: references, conflicts, and what has no effect",
  description:
    "Reads everything that would be served together and tells what headgate validate cannot see in one object: unknown\n" +
    "hosts, subsets, gateways and secrets, unreachable rules, conflicts, and what a Sidecar hides. Exits with 65 when\n" +
    "there is a fault of the --fail-on severity or worse.\n\n" +
    "Example:\n  headgate analyze policies/ --fail-on warning",
  arguments: [{ name: "path", summary: "files or directories (default: this directory)", variadic: true }],
  options: [
    { flags: "--namespace <namespace>", summary: "the namespace of objects that name none", default: "default" },
    { flags: "--root-namespace <namespace>", summary: "see headgate serve", default: "istio-system" },
    {
      flags: "--fail-on <severity>",
      summary: "what to fail on",
      choices: ["error", "warning", "never"],
      default: "error",
    },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["table", "json"], default: "table" },
  ],

  async run(args, options, io) {
    const paths = (args.length > 0 ? args : ["."]).map((path) => resolve(io.cwd, path));
    const { violations } = await readMesh(paths, String(options.namespace), String(options.rootNamespace));
    io.stdout.write(
      options.output === "json"
        ? `${JSON.stringify({ violations: violations.map(violationJson) }, null, 2)}\n`
        : violationTable(violations),
    );
    return violations.some(({ severity }) => failsOn(String(options.failOn), severity))
      ? exitCode.violations
      : exitCode.ok;
  },
};

function failsOn(level: string, severity: Severity): boolean {
  return level === "warning" || (level === "error" && severity === "error");
}

function violationTable(violations: readonly Violation[]): string {
  if (violations.length === 0) return "Nothing to complain about.\n";
  const rows = violations.map(({ severity, code, kind, namespace, name, position, path, message }) => [
    severity,
    code,
    kind ? `${kind} ${namespace}/${name}` : "",
    position ? `${position.file}:${position.line}:${position.column}` : "",
    path,
    message,
  ]);
  return table(["SEVERITY", "CODE", "OBJECT", "PLACE", "PATH", "MESSAGE"], rows);
}
