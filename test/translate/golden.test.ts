// The shape of translations: each testdata/<case>.in.yaml gives <case>.out.yaml. `npm run golden` rewrites them and
// deletes those without a case. That Envoy accepts them, and what they do, other tests say.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { golden, readGoldenCase } from "./golden.js";

const directory = join(import.meta.dirname, "testdata");
const rewrite = process.env.HEADGATE_REWRITE_GOLDEN === "1";
const files = readdirSync(directory);
const cases = files.filter((file) => file.endsWith(".in.yaml")).map((file) => file.slice(0, -".in.yaml".length));
const orphans = files.filter(
  (file) => file.endsWith(".out.yaml") && !cases.includes(file.slice(0, -".out.yaml".length)),
);

describe("a translation", () => {
  it.each(cases)("of %s is what its golden says", (name) => {
    const actual = golden(readGoldenCase(join(directory, `${name}.in.yaml`)));
    const path = join(directory, `${name}.out.yaml`);
    if (rewrite) writeFileSync(path, actual);
    expect(existsSync(path), `${path} is missing: run npm run golden`).toBe(true);
    expect(actual).toBe(readFileSync(path, "utf8"));
  });

  it("leaves no golden without a case", () => {
    if (rewrite) for (const orphan of orphans.splice(0)) rmSync(join(directory, orphan));
    expect(orphans).toEqual([]);
  });

  it("is the same in every run", () => {
    for (const name of cases) {
      const path = join(directory, `${name}.in.yaml`);
      expect(golden(readGoldenCase(path))).toBe(golden(readGoldenCase(path)));
    }
  });
});
