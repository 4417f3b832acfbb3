// A difference as a person reads it: a unified diff of each resource, cut to what can be taken in.
import { structuredPatch } from "diff";
import { createColors } from "picocolors";
import { stringify } from "yaml";
import { printable } from "../printable.js";
import type { Change, ShownChange } from "./compare.js";

export interface TextOptions {
  /** Lines of one resource's difference; what is beyond them is counted. */
  readonly mostLines: number;
  readonly colors: boolean;
}

const CONTEXT_LINES = 3;
const MOST_PROXIES = 3;
/** Beyond so many changed lines, both texts are told one after the other: working out a smaller difference takes long. */
const MOST_EDITS = 4_000;
const SIGNS = { added: "+", modified: "~", removed: "-" } as const;

export function changeText(change: ShownChange, { mostLines, colors }: TextOptions): string {
  const paint = createColors(colors);
  const lines = differenceLines(yamlOf(change.before), yamlOf(change.after));
  if (lines.length === 0) lines.push("(only what is not shown of it differs)");
  const shown = lines.slice(0, mostLines).map((line) => {
    const text = `    ${printable(line)}`;
    return line.startsWith("+") ? paint.green(text) : line.startsWith("-") ? paint.red(text) : text;
  });
  if (lines.length > mostLines) shown.push(`    and ${lines.length - mostLines} more lines (see --full)`);
  const head = `${SIGNS[change.change]} ${change.type} ${printable(change.name)}`;
  return [paint.bold(head), `  for ${proxiesText(change)}`, ...shown, ""].map((line) => `${line}\n`).join("");
}

export function summaryText(changes: readonly Change[], proxies: number): string {
  const count = (kind: Change["change"]) => changes.filter(({ change }) => change === kind).length;
  const touched = new Set(changes.flatMap((change) => change.proxies.map(({ id }) => id))).size;
  const counts = `${count("added")} added, ${count("modified")} modified, ${count("removed")} removed`;
  return `${counts}; of ${proxies} proxies, ${touched} would be sent something.\n`;
}

function proxiesText({ proxies }: Change): string {
  const names = proxies.slice(0, MOST_PROXIES).map(({ name, namespace }) => printable(`${name}.${namespace}`));
  const more = proxies.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function yamlOf(value: unknown): string {
  return value === undefined ? "" : stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}

function differenceLines(before: string, after: string): string[] {
  const patch = structuredPatch("", "", before, after, "", "", { context: CONTEXT_LINES, maxEditLength: MOST_EDITS });
  if (!patch) return [...signed("-", before), ...signed("+", after)];
  return patch.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`,
    ...lines,
  ]);
}

function signed(sign: string, text: string): string[] {
  return text.split("\n").flatMap((line) => (line === "" ? [] : `${sign}${line}`));
}
