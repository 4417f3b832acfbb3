// What a fresh clone installs: exactly what was tried, from whatever registry its owner uses.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));

test("Every dependency is pinned to one version", () => {
  const { dependencies, devDependencies, optionalDependencies = {} } = read("package.json");
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }))
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
});

test("The lockfile names no registry, and has a hash for every package", () => {
  const { packages } = read("package-lock.json") as { packages: Record<string, { integrity?: string }> };
  expect(readFileSync("package-lock.json", "utf8")).not.toMatch(/"resolved"/);
  const unhashed = Object.entries(packages).filter(([path, { integrity }]) => path !== "" && !integrity);
  expect(unhashed.map(([path]) => path)).toEqual([]);
});

test("Every package runs on the oldest Node.js that is promised", () => {
  const promised = read("package.json").engines.node;
  expect(promised).toBe(">=20.19");
  const { packages } = read("package-lock.json") as { packages: Record<string, { engines?: { node?: string } }> };
  const tooNew = Object.entries(packages).filter(([, { engines }]) => /^>=\s*2[1-9]/.test(engines?.node ?? ""));
  expect(tooNew.map(([path]) => path)).toEqual([]);
});
