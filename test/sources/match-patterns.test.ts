// Expressions that matches are decided by are compiled when they are read, and refused where they stand.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RegexCompiler } from "../../controlplane/policy/regex/compile.js";
import { checkRegex } from "../../controlplane/resources/regex-syntax.js";
import { readObjects } from "../../controlplane/sources/reading.js";
import { temporaryDirectory } from "./entries.js";

/** Needs a state for each set of the last twelve characters. */
const LARGE = "(a|b)*a(a|b){12}";

let directory: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ directory, remove } = await temporaryDirectory());
});
afterEach(() => remove());

/** line:column code path */
async function faultsOf(rules: string): Promise<{ faults: string[]; served: boolean }> {
  const path = join(directory, "a.yaml");
  const head =
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n";
  await writeFile(path, head + rules);
  const outcome = readObjects({ path, defaultNamespace: "default", known: new Map() });
  if ("violation" in outcome) throw new Error("The file was not read.");
  const [object] = outcome.reading.objects;
  const faults = (object?.violations ?? []).map(
    ({ code, path: at, position }) => `${position?.line}:${position?.column} ${code} ${at}`,
  );
  return { faults, served: object?.content !== undefined };
}

describe("an expression that compiles to too much", () => {
  test.each([
    ["uri", `{uri: {regex: "${LARGE}"}}`, "match[0].uri.regex"],
    ["authority", `{authority: {regex: "${LARGE}"}}`, "match[0].authority.regex"],
    ["a header", `{headers: {X-User: {regex: "${LARGE}"}}}`, "match[0].headers.X-User.regex"],
    ["a header that must not be", `{withoutHeaders: {x-a: {regex: "${LARGE}"}}}`, "match[0].withoutHeaders.x-a.regex"],
    ["a query parameter", `{queryParams: {q: {regex: "${LARGE}"}}}`, "match[0].queryParams.q.regex"],
  ])("for %s quarantines the object, with its place", async (_, match, path) => {
    const { faults, served } = await faultsOf(`  - match: [${match}]\n    route: [{destination: {host: b}}]\n`);
    const column = "  - match: [".length + match.indexOf("regex") + 1;
    expect(faults).toEqual([`7:${column} regex-too-large spec.http[0].${path}`]);
    expect(served).toBe(false);
  });

  test("is no concern where Envoy evaluates it", async () => {
    const rewrite = `rewrite: {uriRegexRewrite: {match: "${LARGE}", rewrite: /}}`;
    const { faults, served } = await faultsOf(`  - ${rewrite}\n    route: [{destination: {host: b}}]\n`);
    expect([faults, served]).toEqual([[], true]);
  });

  test("is told a bounded number of times", async () => {
    const rules = Array.from(
      { length: 100 },
      (_, index) => `  - {match: [{uri: {regex: "${index}${LARGE}"}}], route: [{destination: {host: b}}]}\n`,
    );
    expect((await faultsOf(rules.join(""))).faults).toHaveLength(20);
  });

  test("is not what ten thousand rules with one expression behind different paths are", async () => {
    const rules = Array.from(
      { length: 10_000 },
      (_, index) => `  - {match: [{uri: {regex: "/r${index}/[^/]+/.*"}}], route: [{destination: {host: b}}]}\n`,
    );
    expect(await faultsOf(rules.join(""))).toEqual({ faults: [], served: true });
  });

  test("may be many that are small by themselves", async () => {
    const rules = Array.from(
      { length: 3_000 },
      (_, index) =>
        `  - {match: [{uri: {regex: "/.*x${index}y{0,9}.*(a|b)*a(a|b){4}"}}], route: [{destination: {host: b}}]}\n`,
    );
    const { faults, served } = await faultsOf(rules.join(""));
    expect([faults.length, served]).toEqual([1, false]);
    expect(faults[0]).toContain("regex-too-large");
  });
});

describe("the two readers of expressions", () => {
  const piece = fc.constantFrom(
    ..."a b . * + ? | ( ) (?: (?i) (?P<n> [ ] [^ - ^ $ \\d \\W \\b \\pL \\p{Greek} \\x41 \\x{41} \\Q \\E \\z \\1 {2} {2,} {2,3} {,3} {1001} [[:alpha:]] \\. \\- \\a é {".split(
      " ",
    ),
  );
  const pattern = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""));

  // Two oddities aside, which are refused either way: \C, a single byte, and a repetition of what stands before (?i) or an empty \Q\E.
  test("agree on what is RE2", () => {
    const compiler = new RegexCompiler();
    fc.assert(
      fc.property(pattern, (text) => {
        fc.pre(!/(?:\(\?i\)|\\E)[*+?{]/.test(text));
        const compiled = compiler.compile(text, { ignoreCase: false });
        const refused = "code" in compiled && compiled.code === "invalid-regex";
        expect(refused).toBe(checkRegex(text)?.code === "invalid-regex");
      }),
      { numRuns: 3_000, seed: 7 },
    );
  });
});
