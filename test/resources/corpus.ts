// Reads the corpora of testdata: YAML in which each expected fault stands as a comment on the line it is reported at.
import { readFileSync } from "node:fs";
import { decodeObject, expandList } from "../../controlplane/resources/decode.js";
import type { Violation } from "../../controlplane/resources/violation.js";
import { parseYaml } from "../../controlplane/sources/yaml.js";

const COMMENT = /#((?: (?:error|warning) [\w-]+ @\d+ ?[^;]*;?)+)$/;
const FAULT = /(error|warning) ([\w-]+) @(\d+) ?([^;]*)/g;

/** line:column severity code path */
export function expectedFaults(text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const comment = COMMENT.exec(line)?.[1] ?? "";
    return [...comment.matchAll(FAULT)].map(
      ([, severity, code, column, path = ""]) => `${index + 1}:${column} ${severity} ${code} ${path}`,
    );
  });
}

export function describeFault({ position, severity, code, path }: Violation): string {
  return `${position?.line}:${position?.column} ${severity} ${code} ${path}`;
}

/** The violations of all objects of a file, by line and column. */
export function findFaults(file: string): Violation[] {
  return faultsOfText(readFileSync(file, "utf8"), file);
}

/** The same of a text. */
export function faultsOfText(text: string, file: string): Violation[] {
  const { objects, violations } = parseYaml(text, file);
  const found = objects
    .flatMap((object) => expandList(object))
    .flatMap(({ raw }) => decodeObject(raw, "default").violations);
  return [...violations, ...found].sort(
    (a, b) =>
      (a.position?.line ?? 0) - (b.position?.line ?? 0) || (a.position?.column ?? 0) - (b.position?.column ?? 0),
  );
}
