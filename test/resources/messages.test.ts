// docs/messages.md explains every code, with an example that gives it.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { VIOLATION_CODES, type ViolationCode } from "../../controlplane/resources/violation.js";
import { faultsOfText } from "./corpus.js";

const page = readFileSync(new URL("../../docs/messages.md", import.meta.url), "utf8");
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf("\n")), section.split(/^## /m)[0] ?? ""]),
);
const codes = Object.keys(VIOLATION_CODES) as ViolationCode[];
const exampleOf = (code: string) => /```yaml\n(.*?)```/s.exec(sections.get(code) ?? "")?.[1];

/** Those that show only with other objects, or with files. */
const NEEDS_OTHERS = new Set<ViolationCode>([
  "duplicate-object",
  ...codes.filter((code) => /^unknown-(?!kind|field)|^conflicting-(?!fields)|^unreachable-|^hidden-/.test(code)),
]);

describe("docs/messages.md", () => {
  test("has each code once, and no others", () => {
    expect([...sections.keys()].sort()).toEqual([...codes].sort());
    expect(page.match(/^### /gm)).toHaveLength(codes.length);
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
