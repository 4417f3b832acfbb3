// docs/messages/ explains every code on a page of its own, with an example that gives it.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { VIOLATION_CODES, type ViolationCode } from "../../controlplane/resources/violation.js";
import { faultsOfText } from "./corpus.js";

const directory = new URL("../../docs/messages/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, directory), "utf8");
const sections = new Map(
  readdirSync(directory)
    .filter((name) => name !== "README.md")
    .map((name) => [name.replace(/\.md$/, ""), read(name)]),
);
const codes = Object.keys(VIOLATION_CODES) as ViolationCode[];
const exampleOf = (code: string) => /```yaml\n(.*?)```/s.exec(sections.get(code) ?? "")?.[1];

/** Those that show only with other objects, or with files. */
const NEEDS_OTHERS = new Set<ViolationCode>([
  "duplicate-object",
  ...codes.filter((code) =>
    /^unknown-(?!kind|field)|^conflicting-(?!fields)|^unreachable-|^hidden-|^refused-/.test(code),
  ),
]);

describe("docs/messages", () => {
  test("has a page for each code, and no others", () => {
    expect([...sections.keys()].sort()).toEqual([...codes].sort());
    for (const [code, page] of sections) expect(page.split("\n")[0]).toBe(`# ${code}`);
  });

  test("has an index that names each page once, with the code's meaning", () => {
    const entries = [...read("README.md").matchAll(/^- \[(.+)\]\((.+)\.md\): (.+)$/gm)];
    const listed = entries.map(([, code, page, meaning]) => `${code} ${page} ${meaning}`);
    expect(listed.sort()).toEqual(codes.map((code) => `${code} ${code} ${VIOLATION_CODES[code]}`).sort());
  });

  test.each(codes)("explains %s with cause, example and fix", (code) => {
    expect(sections.get(code)).toMatch(/\*\*Cause\.\*\* [\s\S]+\n\n(?:```yaml\n| {4}\S)[\s\S]+\n\n\*\*Fix\.\*\* ./);
  });

  test.each(codes.filter((code) => exampleOf(code) !== undefined && !NEEDS_OTHERS.has(code)))(
    "has an example that gives %s",
    (code) => {
      expect(faultsOfText(exampleOf(code) ?? "", "example.yaml").map((fault) => fault.code)).toContain(code);
    },
  );

  test.each([...NEEDS_OTHERS])("has an example for %s that is without error by itself", (code) => {
    expect(faultsOfText(exampleOf(code) ?? "[", "example.yaml")).toEqual([]);
  });
});
