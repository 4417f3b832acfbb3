// docs/api-support.md is what the code says, and no field is said to work without a test on traffic.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { listSupport } from "../../controlplane/resources/support.js";
import { coverageOf, readCoverage } from "../harness/coverage.js";
import { apiSupportPage, untestedFields } from "./api-support-page.js";

const root = process.cwd();

describe("docs/api-support.md", () => {
  test("is what `npm run docs:api` gives", () => {
    expect(readFileSync(join(root, "docs", "api-support.md"), "utf8")).toBe(apiSupportPage(root));
  });

  test("names fields in covers() that there are, and that are not refused", () => {
    const fields = new Map(listSupport().map(({ kind, path, support }) => [`${kind} ${path}`, support?.status]));
    const strange = readCoverage(root).filter(({ kind, field }) => fields.get(`${kind} spec.${field}`) !== "works");
    expect(strange).toEqual([]);
  });

  test("leaves no core or expected field that works without a behaviour test", () => {
    expect(untestedFields(root)).toEqual([]);
  });
});

describe("what a behaviour test covers", () => {
  test("is found under the title of its test and group", () => {
    const text = `describe("a rule", () => {\n  it("splits", async () => {\n    covers("K", "a[].b", "c");\n  });\n  it.each([1, f(2)])("gives %s", () => {\n    covers("K", "d",);\n`;
    expect(coverageOf(text, "area.test.ts")).toEqual([
      { kind: "K", field: "a[].b", test: "area: a rule splits" },
      { kind: "K", field: "c", test: "area: a rule splits" },
      { kind: "K", field: "d", test: "area: a rule gives %s" },
    ]);
  });

  test("must be literal, and within a test", () => {
    expect(() => coverageOf(`it("a", () => { covers("K", field); })`, "a.test.ts")).toThrow("literal");
    expect(() => coverageOf(`covers("K", "a");`, "a.test.ts")).toThrow("no test");
  });
});
