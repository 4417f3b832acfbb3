// What a client is expected to ask for, and what it is sent again, is the same for long lists, which streams share, as name by
// name.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Expectations } from "../../controlplane/xds/expectations.js";
import { CLUSTER, defaultDependents, ENDPOINTS, ROUTES, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { Subscription } from "../../controlplane/xds/subscription.js";
import { resource } from "./support/resources.js";

const COUNT = 600;
const NAMES = Array.from({ length: COUNT }, (_, index) => `c${index}`);
/** One stream after the other is sent these very lists. */
const LISTS = [NAMES, NAMES.slice(0, 300), [...NAMES.slice(200)].reverse(), NAMES.slice(10, 20), []];
const resourcesOf = (type: string, names: readonly string[]) =>
  new Map(names.map((name) => [name, resource(type, name, "1")]));
/** Not all clusters have endpoints. */
const EXISTING = [
  resourcesOf(ENDPOINTS, NAMES),
  resourcesOf(
    ENDPOINTS,
    NAMES.filter((_, index) => index % 3 > 0),
  ),
];

test("what depends on a list of names is asked for anew where it is subscribed to, and expected where not", () => {
  const property = fc.property(
    fc.constantFrom(...LISTS),
    fc.constantFrom(...EXISTING),
    fc.option(fc.record({ wildcard: fc.boolean(), names: fc.subarray([...NAMES, "x"]), inOrder: fc.boolean() })),
    (list, resources, subscribed) => {
      const subscription = subscribed ? new Subscription(ENDPOINTS) : undefined;
      if (subscription && subscribed) {
        subscription.wildcard = subscribed.wildcard;
        if (subscribed.inOrder) subscription.names.follow(resources, COUNT);
        for (const name of subscribed.names) subscription.names.add(name);
      }
      const expectations = new Expectations(defaultDependents, 100);
      expectations.follow(CLUSTER, list, () => ({ subscription, resources }), 0);
      const dependent = list.filter((name) => resources.has(name));
      const isCovered = (name: string) => subscription?.covers(name) ?? false;
      const expected = dependent.filter((name) => !isCovered(name));
      expect(new Set(expectations.names(ENDPOINTS))).toEqual(new Set(expected));
      expect(expectations.types(0)).toEqual(expected.length > 0 ? [ENDPOINTS] : []);
      expect(new Set(subscription?.asked)).toEqual(new Set(dependent.filter(isCovered)));
    },
  );
  fc.assert(property, { seed: 8, numRuns: 300 });
});

test("the virtual hosts of each route configuration are expected, whatever there was of others before", () => {
  const names = NAMES.flatMap((name) => [`80/${name}`, `8080/${name}`]);
  const lookUp = (kept: readonly string[]) => {
    const resources = resourcesOf(VIRTUAL_HOST, kept);
    return () => ({ subscription: undefined, resources });
  };
  const expectedOf = (routes: readonly string[], looking: ReturnType<typeof lookUp>) => {
    const expectations = new Expectations(defaultDependents, 100);
    expectations.follow(ROUTES, routes, looking, 0);
    return new Set(expectations.names(VIRTUAL_HOST));
  };
  const all = lookUp(names);
  const ofPort = names.filter((name) => name.startsWith("80/"));
  expect(expectedOf(["80"], all)).toEqual(new Set(ofPort));
  expect(expectedOf(["80"], all)).toEqual(new Set(ofPort));
  expect(expectedOf(["80", "8080"], all)).toEqual(new Set(names));
  expect(expectedOf(["80"], lookUp(names.slice(0, 2)))).toEqual(new Set(["80/c0"]));
  expect(expectedOf(["9"], all)).toEqual(new Set());
});
