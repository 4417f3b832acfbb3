// The index over the rules: whatever their number, a request has few candidates to try.
import { expect, test } from "vitest";
import { readClauses } from "../../controlplane/policy/clauses.js";
import { Inputs } from "../../controlplane/policy/inputs.js";
import { type Index, narrow } from "../../controlplane/policy/narrow.js";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { finish } from "../../controlplane/policy/steps.js";
import type { HttpMatch } from "../../controlplane/resources/virtual-service.js";
import { exact, match, prefix, regex, rule } from "../filter/traffic-envoy.js";

const RULES = 10_000;

function indexOf(rules: readonly PolicyRule[]): Index {
  const inputs = new Inputs();
  const clauses = finish(readClauses(rules, inputs, []));
  return narrow(clauses, inputs.number());
}

function many(conditions: (i: number) => Partial<HttpMatch>): PolicyRule[] {
  return Array.from({ length: RULES }, (_, i) => rule(`route-${i}`, match(conditions(i))));
}

/** The longest list of candidates that one key, or several together, lead to. */
function longestList(index: Index): number {
  const tuples = index.tables.flatMap((table) => [...table.tuples.values()].map(({ candidates }) => candidates));
  return Math.max(index.always.length, ...[...index.byKey.values(), ...tuples].map((list) => list.length));
}

const header = (name: string, value: string) => ({ headers: new Map([[name, exact(value)]]) });

test("Rules that one value or prefix tells apart are found by it", () => {
  for (const conditions of [
    (i: number) => header("x-user", `user-${i}`),
    (i: number) => ({ ...header("x-user", `user-${i}`), uri: prefix("/") }),
    (i: number) => ({ uri: prefix(`/service/${i}/`), method: exact("GET") }),
    (i: number) => ({ uri: regex(`/service/${i}/[0-9]+`) }),
    (i: number) => ({ uri: exact(`/Service/${i}`), ignoreUriCase: true }),
    (i: number) => ({ queryParams: new Map([["id", exact(`${i}`)]]), authority: exact("a.example") }),
  ]) {
    const index = indexOf(many(conditions));
    expect(longestList(index)).toBe(1);
    expect(index.tables).toEqual([]);
  }
});

test("Rules that only several conditions together tell apart are found by those in one step", () => {
  for (const conditions of [
    (i: number) => ({ ...header("x-tenant", `t${i % 100}`), uri: prefix(`/service/${Math.floor(i / 100)}/`) }),
    (i: number) => ({ ...header("x-tenant", `t${i % 100}`), uri: exact(`/service/${Math.floor(i / 100)}`) }),
    (i: number) => ({
      headers: new Map([
        ["x-a", exact(`${i % 22}`)],
        ["x-b", exact(`${Math.floor(i / 22) % 22}`)],
      ]),
      method: exact(`M${Math.floor(i / 484)}`),
    }),
  ]) {
    const index = indexOf(many(conditions));
    expect(longestList(index)).toBe(1);
    expect(index.tables.length).toBe(1);
  }
});

test("However many kinds of rules there are, tables stay few, and no table asks for three headers", () => {
  const index = indexOf(
    many((i) => ({
      headers: new Map([0, 1, 2, 3].map((n) => [`x-${(i * 7 + n * 13) % 40}`, exact(`${(i >> n) % 3}`)])),
    })),
  );
  expect(index.tables.length).toBeLessThanOrEqual(16);
  for (const { exactSlots } of index.tables)
    expect(exactSlots.filter((slot) => slot.type === "header").length).toBeLessThanOrEqual(2);
});

test("What can never be reached is no candidate", () => {
  const index = indexOf([
    rule("a", match({ uri: exact("/a") })),
    rule("again", match({ uri: exact("/a") })),
    rule("rest"),
    rule("late", match({ uri: exact("/b") })),
  ]);
  expect([...index.byKey.values()]).toEqual([[0]]);
  expect(index.always).toEqual([2]);
});
