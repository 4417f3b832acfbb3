// Reads the behaviour tests' sources for what they say they cover; see covers.ts.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A field that a test covers. */
export interface Coverage {
  readonly kind: string;
  /** Below spec. */
  readonly field: string;
  /** File, group and title, as in "routing: the first rule that matches decides by a header's exact value". */
  readonly test: string;
}

const TEXT = `("(?:[^"\\\\]|\\\\.)*"|\`(?:[^\`\\\\]|\\\\.)*\`)`;
const CALL = /\bcovers\(\s*"(\w+)"\s*((?:,\s*"[^"]*"\s*)*),?\s*\)/g;
const TEST = new RegExp(`\\b(?:it|test)(?:\\.each\\([\\s\\S]*?\\))?\\(\\s*${TEXT}`, "g");
const GROUP = new RegExp(`\\bdescribe(?:\\.\\w+\\([\\s\\S]*?\\))?\\(\\s*${TEXT}`, "g");

/** What the tests in test/behaviour/ below a root cover. Throws on a call that cannot be read without running it. */
export function readCoverage(root: string): readonly Coverage[] {
  const directory = join(root, "test", "behaviour");
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".test.ts"),
  );
  return files.sort().flatMap((file) => coverageOf(readFileSync(join(directory, file), "utf8"), file));
}

/** The same of one file's text. */
export function coverageOf(text: string, file: string): readonly Coverage[] {
  const calls = [...text.matchAll(CALL)];
  if (calls.length !== [...text.matchAll(/\bcovers\(/g)].length) {
    throw new Error(`${file}: covers() takes literal strings alone`);
  }
  const area = file.replace(/\.test\.ts$/, "");
  return calls.flatMap(({ index, 1: kind = "", 2: fields = "" }) => {
    const title = lastBefore(text, TEST, index);
    if (title === undefined) throw new Error(`${file}: covers() stands in no test`);
    const name = [lastBefore(text, GROUP, index), title].filter((part) => part !== undefined).join(" ");
    return [...fields.matchAll(/"([^"]*)"/g)].map(([, field = ""]) => ({ kind, field, test: `${area}: ${name}` }));
  });
}

function lastBefore(text: string, pattern: RegExp, index: number): string | undefined {
  const found = [...text.matchAll(pattern)].filter((match) => match.index < index).at(-1)?.[1];
  return found?.slice(1, -1).replaceAll('\\"', '"');
}
