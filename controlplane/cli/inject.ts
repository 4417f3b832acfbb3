// `headgate inject`: gives workloads in files the sidecar that pods of a cluster get by its webhook.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { type DocumentEdit, editYaml } from "../injection/edited-yaml.js";
import { inject } from "../injection/inject.js";
import type { InjectionSettings } from "../injection/sidecar.js";
import { podTemplatesIn } from "../injection/workloads.js";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import { parseYaml, type YamlObject } from "../sources/yaml.js";
import { type CommandDefinition, exitCode } from "./command.js";
import { readInjectionSettings } from "./injection-settings.js";
import { violationText } from "./violation-text.js";

export const injectCommand: CommandDefinition = {
  name: "inject",
  summary: "give the workloads in files their sidecar, and print them",
  description:
    "Reads Pods, Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs and Lists of them, and gives their pods\n" +
    "what `headgate serve --webhook` would. Everything else is printed as it is. With a fault nothing is printed.\n\n" +
    "Example:\n" +
    "  headgate inject app.yaml --image headgate-proxy:0.1.0 --ads-ca ca.pem | kubectl apply -f -",
  arguments: [{ name: "file", summary: "YAML files; - is standard input", required: true, variadic: true }],
  options: [
    { flags: "--image <image>", summary: "of the sidecar", required: true },
    {
      flags: "--ads <host:port>",
      summary: "where sidecars reach the control plane",
      default: "headgate.headgate-system.svc:15012",
    },
    { flags: "--ads-ca <file>", summary: "the authority of its certificate (PEM); without it ADS is plaintext" },
    { flags: "--ads-token-audience <name>", summary: "whom their tokens are meant for", default: "headgate" },
  ],

  async run(args, options, io) {
    const { image, ads, adsCa, adsTokenAudience: audience } = options;
    const settings = readInjectionSettings("--", { image, ads, adsCa, audience }, io.cwd);
    if ("error" in settings) {
      io.stderr.write(`headgate inject: ${settings.error}\n`);
      return exitCode.usage;
    }
    const outputs: string[] = [];
    let isFaulty = false;
    for (const file of args) {
      const given = await (file === "-" ? text(process.stdin) : readFile(resolve(io.cwd, file), "utf8")).catch(
        (error: NodeJS.ErrnoException) => error,
      );
      if (given instanceof Error) {
        io.stderr.write(`headgate inject: ${file} cannot be read (${given.code})\n`);
        return exitCode.usage;
      }
      const { output, violations } = injectInto(given, file, settings.value);
      for (const violation of violations) io.stderr.write(`${violationText(violation)}\n`);
      isFaulty ||= violations.some(({ severity }) => severity === "error");
      outputs.push(output);
    }
    if (isFaulty) return exitCode.violations;
    io.stdout.write(outputs.reduce(joined, ""));
    return exitCode.ok;
  },
};

interface Injected {
  readonly output: string;
  readonly violations: readonly Violation[];
}

function injectInto(given: string, file: string, settings: InjectionSettings): Injected {
  const { objects, violations: faults } = parseYaml(given, file);
  if (faults.length > 0) return { output: "", violations: faults };
  const edited = objects.map((object) => injectObject(object, settings));
  const violations = edited.flatMap((each) => each.violations);
  if (violations.some(({ severity }) => severity === "error")) return { output: "", violations };
  return { output: editYaml(given, new Map(edited.map(({ edits }, index) => [index, edits]))), violations };
}

function injectObject(
  { value, locate }: YamlObject,
  settings: InjectionSettings,
): { readonly edits: readonly DocumentEdit[]; readonly violations: readonly Violation[] } {
  const { templates, faults } = podTemplatesIn(value);
  const violations = faults.map(({ path, code, message }) =>
    makeViolation(code, "error", path, message, locate(path), {}),
  );
  const edits = templates.map(({ path, pod }): DocumentEdit => {
    const { patch, warnings, error } = inject(pod, settings);
    for (const notice of [...warnings, ...(error ? [error] : [])]) {
      const [place, isError] = [[...path, ...notice.path], notice === error];
      const code = isError ? "invalid-value" : "ignored-field";
      const severity = isError ? "error" : "warning";
      violations.push(makeViolation(code, severity, place, notice.message, locate(place), {}));
    }
    return { path, patch };
  });
  return { edits, violations };
}

/** One stream of documents. */
function joined(before: string, output: string): string {
  const isMarked = before === "" || /^(#.*\n|\s*\n)*(---|%)/.test(output);
  const ended = output === "" || output.endsWith("\n") ? output : `${output}\n`;
  return `${before}${isMarked ? "" : "---\n"}${ended}`;
}
