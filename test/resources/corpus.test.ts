// Every fault that a single object can have, at its exact place, and every field in an object that has none.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { VIOLATION_CODES, type Violation, type ViolationCode } from "../../controlplane/resources/violation.js";
import { describeFault, expectedFaults, findFaults } from "./corpus.js";

const TESTDATA = fileURLToPath(new URL("./testdata/", import.meta.url));

/** Codes that only files, or several objects together, give. */
const NOT_OF_ONE_OBJECT: readonly ViolationCode[] = [
  "yaml-syntax",
  "yaml-limit",
  "file-unreadable",
  "kind-unreadable",
  "duplicate-object",
  "unknown-host",
  "unknown-subset",
  "unknown-gateway",
  "unknown-secret",
  "unknown-port",
  "unknown-route",
  "conflicting-virtual-service",
  "conflicting-destination-rule",
  "conflicting-port",
  "conflicting-rollout",
  "hidden-by-sidecar",
  "conflicting-sidecar",
  "unreachable-rule",
  "unknown-workload",
  "conflicting-extension",
  "unknown-module",
  "refused-module",
  // See regex-syntax.test.ts: an expression that is too long for a corpus.
  "regex-too-large",
];

/** Paths within testdata. */
function filesOf(directory: string): string[] {
  return readdirSync(join(TESTDATA, directory)).map((name) => join(directory, name));
}

function faultsOf(file: string): Violation[] {
  return findFaults(join(TESTDATA, file));
}

describe("invalid objects", () => {
  test.each(filesOf("invalid"))("%s has the faults that its comments say, and no others", (file) => {
    const expected = expectedFaults(readFileSync(join(TESTDATA, file), "utf8"));
    expect(expected.length).toBeGreaterThan(0);
    expect(faultsOf(file).map(describeFault).sort()).toEqual(expected.sort());
  });

  test("every code that one object can give is given by one of them", () => {
    const given = new Set(filesOf("invalid").flatMap((file) => faultsOf(file).map(({ code }) => code)));
    const codes = Object.keys(VIOLATION_CODES) as ViolationCode[];
    expect(codes.filter((code) => !given.has(code)).sort()).toEqual([...NOT_OF_ONE_OBJECT].sort());
  });

  test("every message is a sentence or two, and names kind, namespace and name where the object has them", () => {
    for (const violation of filesOf("invalid").flatMap(faultsOf)) {
      expect(violation.message, violation.path).toMatch(/^.{10,400}[.?]$/s);
      if (violation.code !== "not-an-object") expect(violation).toMatchObject({ namespace: expect.any(String) });
    }
  });
});

describe("valid objects", () => {
  test.each(filesOf("valid"))("%s has no fault", (file) => {
    expect(faultsOf(file).map((fault) => `${describeFault(fault)} ${fault.message}`)).toEqual([]);
  });
});

describe("the policies that Headgate was asked for", () => {
  test.each(filesOf("seed"))("%s is decoded, the one without a route refused", (file) => {
    const expected = file.includes("05-gateway") ? ["23:1 error missing-field spec"] : [];
    expect(faultsOf(file).map(describeFault)).toEqual(expected);
  });
});
