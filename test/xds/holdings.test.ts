// What a client holds, whether it shares that with others or not, reads as one plain map would.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Holdings } from "../../controlplane/xds/holdings.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { Recent } from "../../controlplane/xds/recent.js";
import { isSameRun, runsOf, sharedRun } from "../../controlplane/xds/runs.js";
import type { XdsResource } from "../../controlplane/xds/snapshot.js";
import { resource } from "./support/resources.js";
import { TurnedClock } from "./support/turned-clock.js";

const names = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 5 });
const version = fc.constantFrom("1", "2");
const step = fc.oneof(
  fc.record({ act: fc.constant("set" as const), names, version }),
  fc.record({ act: fc.constant("delete" as const), names, version }),
  fc.record({ act: fc.constant("add" as const), names, version }),
  fc.record({ act: fc.constant("isExactly" as const), names, version }),
);

test("holdings read as a map in which every step was made one by one", () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const holdings = new Holdings();
    const model = new Map<string, string>();
    for (const { act, names: chosen, version: of } of steps) {
      const meant = act === "add" ? chosen.filter((name) => !model.has(name)) : chosen;
      const map = new Map(meant.map((name) => [name, resource(CLUSTER, name, of)]));
      if (act === "isExactly") model.clear();
      for (const name of meant) {
        if (act === "delete") model.delete(name);
        else model.set(name, of);
      }
      if (act === "add") holdings.add(map);
      else if (act === "isExactly") holdings.isExactly(map);
      else if (act === "delete") for (const name of meant) holdings.delete(name);
      else for (const [name, each] of map) holdings.set(name, each);
    }
    const some = new Map([..."acf"].map((name) => [name, resource(CLUSTER, name, "1")]));
    // It may be said too rarely, but never wrongly.
    if (holdings.hasNoneOf(some)) expect([...some.keys()].filter((name) => model.has(name))).toEqual([]);
    expect(holdings.size).toBe(model.size);
    expect([...holdings.keys()].sort()).toEqual([...model.keys()].sort());
    for (const name of "abcdefgh") expect(holdings.get(name)?.version).toBe(model.get(name));
  });
  fc.assert(property, { seed: 6, numRuns: 500 });
});

test("holdings that share maps tell which others have none of their names", () => {
  const map = (names: string) => new Map([...names].map((name) => [name, resource(CLUSTER, name, "1")]));
  const holdings = new Holdings();
  for (const shared of ["ab", "cd"].map(map)) holdings.add(shared);
  expect(["ef", "bc", "d", ""].map((names) => holdings.hasNoneOf(map(names)))).toEqual([true, false, false, true]);
  holdings.set("e", resource(CLUSTER, "e", "1"));
  expect(holdings.hasNoneOf(map("ef"))).toBe(false);
  expect(holdings.hasNoneOf(map("f"))).toBe(true);
});

test("a map's runs have each of its resources once, in order, and are the same whoever asks", () => {
  const resources = new Map(
    Array.from({ length: 100 }, (_, index) => [`c${index}`, resource(CLUSTER, `c${index}`, "1")]),
  );
  const bytes = [...resources.values()].reduce((sum, { any }) => sum + any.length, 0);
  const runs = runsOf(resources, bytes / 4);
  expect(runs.length).toBeGreaterThan(2);
  expect(runs.flatMap((run) => run.names)).toEqual([...resources.keys()]);
  expect(runsOf(resources, bytes / 4)).toBe(runs);
});

test("equal long runs are one object, and short ones are not kept", () => {
  const long = Array.from({ length: 64 }, (_, index) => resource(CLUSTER, `c${index}`, "1"));
  expect(sharedRun([...long])).toBe(sharedRun([...long]));
  expect(sharedRun(long.slice(1))).toBeUndefined();
});

test("what is made of a run is let go of when nobody wants it for 10 s, and when others need its bytes", () => {
  const clock = new TurnedClock();
  const make = (resources: readonly XdsResource[]) => resources.map(({ name }) => name);
  const runs = new Recent(3, { make, isSame: isSameRun, sizeOf: ({ length }) => length }, clock);
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => [resource(CLUSTER, name, "1")]);
  if (!a || !b || !c || !d) throw new Error("a run is missing");
  const first = runs.of(a);
  clock.advance(9_999);
  runs.of(b);
  expect(runs.of(a)).toBe(first);
  clock.advance(9_999);
  expect(runs.of(a)).toBe(first);
  clock.advance(10_000);
  runs.of(b);
  const second = runs.of(a);
  expect(second).not.toBe(first);
  for (const run of [b, c]) runs.of(run);
  expect(runs.of(a)).toBe(second);
  for (const run of [b, c, d]) runs.of(run);
  expect(runs.of(a)).not.toBe(second);
});
