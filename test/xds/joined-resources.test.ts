// A map that joins a proxy's own resources to shared ones is, to everybody, the plain map of both.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import { difference, type ResourceMap } from "../../controlplane/xds/difference.js";
import { JoinedResources } from "../../controlplane/xds/joined-resources.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { runsOf } from "../../controlplane/xds/runs.js";
import { versionOf } from "../../controlplane/xds/version.js";
import { resource } from "./support/resources.js";

/** Versions of few names, and which of them are the proxy's own. */
const state = fc.uniqueArray(
  fc.tuple(fc.constantFrom<string>("a", "b", "c", "d", "e"), fc.constantFrom("1", "2"), fc.boolean()),
  { selector: ([name]) => name },
);

type State = typeof state extends fc.Arbitrary<infer T> ? T : never;

const mapOf = (entries: State): ResourceMap =>
  new Map(entries.map(([name, version]) => [name, resource(CLUSTER, name, version)]));
const joined = (entries: State) =>
  new JoinedResources(mapOf(entries.filter(([, , own]) => !own)), mapOf(entries.filter(([, , own]) => own)));

test("joined maps read, are versioned and differ as plain ones do", () => {
  const sorted = ({ changed, removed }: ReturnType<typeof difference>) => [[...changed].sort(), [...removed].sort()];
  fc.assert(
    fc.property(state, state, (first, second) => {
      const [a, b] = [joined(first), joined(second)];
      expect(new Map(a)).toEqual(mapOf(first));
      expect([...a.keys()].map((name) => a.get(name)?.name)).toEqual([...a.values()].map(({ name }) => name));
      expect(a.size).toBe(first.length);
      for (const name of "abcdef") expect(a.has(name)).toBe(mapOf(first).has(name));
      expect(versionOf(a)).toBe(versionOf(mapOf(first)));
      expect(versionOf(joined(second), a)).toBe(versionOf(mapOf(second)));
      expect(versionOf(a) === versionOf(b)).toBe(sorted(difference(mapOf(first), mapOf(second))).flat().length === 0);
      for (const [from, to] of [[a, b] as const, [mapOf(first), b] as const, [a, mapOf(second)] as const]) {
        expect(sorted(difference(from, to))).toEqual(sorted(difference(mapOf(first), mapOf(second))));
      }
      expect(runsOf(a, 1).flatMap(({ names }) => names)).toEqual([...a.keys()]);
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("proxies whose maps share a part share the runs of it", () => {
  const shared = mapOf([["a", "1", false]]);
  const [one, two] = ["b", "c"].map((name) => new JoinedResources(shared, mapOf([[name, "1", true]])));
  expect(runsOf(one as ResourceMap, 1)[0]).toBe(runsOf(two as ResourceMap, 1)[0]);
});

test("the cache refuses a joined map that has a name in both parts", () => {
  const map = mapOf([["a", "1", false]]);
  const snapshot = { resources: new Map([[CLUSTER, new JoinedResources(map, new Map(map))]]) };
  expect(() => new SnapshotCache().set("proxy", snapshot)).toThrow('"a" is there twice');
});
