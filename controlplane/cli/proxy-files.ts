// The files of `headgate proxy` whose content takes the place of flags, and may change while it runs.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import type { CommandOption, OptionValues } from "./command.js";
import type { Read } from "./flag-values.js";

export const FILE_OPTIONS: readonly CommandOption[] = [
  { flags: "--settings <file>", summary: "YAML of flags, as in `concurrency: 2`; changes take effect (docs/agent.md)" },
  { flags: "--labels-file <file>", summary: 'its labels, a line each as in app="web"; changes take effect' },
];

/** Those that say what Envoy is started with or how it ends; all others are the agent's own, or who the proxy is. */
const CHANGEABLE = [
  ...["labels", "service-account", "group", "workload", "locality"],
  ...["ads", "ads-ca", "ads-server-name", "ads-cert", "ads-key", "ads-token-file"],
  ...["concurrency", "memory-limit", "max-connections", "dns-resolver"],
  ...["log-level", "component-log-level", "drain-time"],
] as const;

/** The paths of those that are given. */
export function filesOf(options: OptionValues, cwd: string): readonly string[] {
  return [options.settings, options.labelsFile].flatMap((file) => (typeof file === "string" ? resolve(cwd, file) : []));
}

/** The flags with what the files say in their place: settings before flags, and the labels' file before both. */
export async function withFiles(options: OptionValues, cwd: string): Promise<Read<OptionValues>> {
  const values: Record<string, OptionValues[string]> = { ...options };
  if (typeof options.settings === "string") {
    const read = readFlags(options.settings, await textOf(options.settings, cwd));
    if ("error" in read) return read;
    Object.assign(values, read.value);
  }
  if (typeof options.labelsFile === "string") {
    const read = readLabels(options.labelsFile, await textOf(options.labelsFile, cwd));
    if ("error" in read) return read;
    values.labels = read.value;
  }
  return { value: values };
}

async function textOf(file: string, cwd: string): Promise<Read<string>> {
  return readFile(resolve(cwd, file), "utf8").then(
    (value) => ({ value }),
    (error: Error) => ({ error: error.message }),
  );
}

function readFlags(file: string, text: Read<string>): Read<OptionValues> {
  if ("error" in text) return text;
  const document = parseDocument(text.value);
  const [fault] = document.errors;
  if (fault) return { error: `${file}: ${fault.message}` };
  const content: unknown = document.toJS() ?? {};
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return { error: `${file} is no map: write flag: value, a line each` };
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(content)) {
    if (!(CHANGEABLE as readonly string[]).includes(name))
      return { error: `${file}: "${name}" is none of ${CHANGEABLE.join(", ")}` };
    if (typeof value !== "string" && typeof value !== "number")
      return { error: `${file}: "${name}" is no text: write it as after --${name}` };
    values[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())] = String(value);
  }
  return { value: values };
}

/** As Kubernetes writes a pod's labels into a volume of its downward API; quotes may be left out. */
function readLabels(file: string, text: Read<string>): Read<string> {
  if ("error" in text) return text;
  const pairs: string[] = [];
  for (const line of text.value.split("\n").filter((candidate) => candidate.trim() !== "")) {
    const found = /^([^=\s"]+)=(?:"([^"\\,]*)"|([^"\\,\s]*))\s*$/.exec(line);
    if (!found) return { error: `${file} has the line ${line}: write key="value"` };
    pairs.push(`${found[1]}=${found[2] ?? found[3]}`);
  }
  return { value: pairs.join(",") };
}
