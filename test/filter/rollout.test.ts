// Which destination a request gets: weights, stickiness, ramps and overrides, decided by the filter in Node.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { CompiledPolicy } from "../../controlplane/policy/compile.js";
import type { PolicyRollout } from "../../controlplane/policy/rule.js";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import { compile, MODULE } from "./traffic-envoy.js";

const filter = new TrafficFilter(readFileSync(MODULE));
const USERS = 4000;

/** Destinations v1, v2, ... of these weights. */
function split(weights: readonly number[], rollout?: PolicyRollout): CompiledPolicy {
  const destinations = weights.map((weight, i) => ({ route: `v${i + 1}`, weight }));
  return compile([{ matches: [], destinations, ...(rollout ? { rollout } : {}) }]);
}

function byHeader(salt = "s"): PolicyRollout {
  return { sticky: { key: { type: "header", name: "X-User" }, salt } };
}

interface Asked {
  readonly headers?: readonly (readonly [string, string])[];
  readonly path?: string;
  readonly now?: number;
  readonly random?: bigint;
  readonly address?: string;
}

function choose(
  policy: CompiledPolicy,
  { headers = [], path = "/", now = 0, random = 1n, address }: Asked = {},
): string {
  return filter.decide(policy, [[":path", path], ...headers], { now, random }, address).route ?? "none";
}

/** The destination of each of the users. */
function placeUsers(policy: CompiledPolicy, now = 0): string[] {
  return Array.from({ length: USERS }, (_, i) => choose(policy, { headers: [["x-user", `user-${i}`]], now }));
}

function share(placed: readonly string[], destination: string): number {
  return placed.filter((name) => name === destination).length / placed.length;
}

/** From and to, of each user that has moved. */
function moves(before: readonly string[], after: readonly string[]): Set<string> {
  return new Set(before.map((from, i) => `${from} to ${after[i]}`).filter((_, i) => before[i] !== after[i]));
}

test("Plain weights are met by random draws, and a weight of nothing gets nothing", () => {
  const policy = split([0, 75, 25, 0]);
  const drawn = Array.from({ length: 10_000 }, (_, i) => choose(policy, { random: BigInt(i) * 0x9e3779b97f4a7c15n }));
  expect(Math.abs(share(drawn, "v3") - 0.25)).toBeLessThan(0.02);
  expect(new Set(drawn)).toEqual(new Set(["v2", "v3"]));
});

test("A sticky user always gets the same destination, and the weights are met over all users", () => {
  const policy = split([75, 25], byHeader());
  const placed = placeUsers(policy);
  expect(placeUsers(policy)).toEqual(placed);
  expect(Math.abs(share(placed, "v2") - 0.25)).toBeLessThan(0.03);
});

test("Another salt places users anew", () => {
  const moved = moves(placeUsers(split([50, 50], byHeader("a"))), placeUsers(split([50, 50], byHeader("b"))));
  expect(moved).toEqual(new Set(["v1 to v2", "v2 to v1"]));
});

test("Growing one weight of two moves users one way only", () => {
  let before = placeUsers(split([100, 0], byHeader()));
  expect(share(before, "v1")).toBe(1);
  for (const weight of [1, 5, 25, 50, 99, 100]) {
    const after = placeUsers(split([100 - weight, weight], byHeader()));
    expect([...moves(before, after)].filter((move) => move !== "v1 to v2")).toEqual([]);
    expect(Math.abs(share(after, "v2") - weight / 100)).toBeLessThan(0.03);
    before = after;
  }
  expect(share(before, "v2")).toBe(1);
});

test("Growing one weight of several takes users from the others, and moves none between those", () => {
  const before = placeUsers(split([40, 30, 30], byHeader()));
  const after = placeUsers(split([40, 60, 30], byHeader()));
  expect(moves(before, after)).toEqual(new Set(["v1 to v2", "v3 to v2"]));
  expect(Math.abs(share(after, "v2") - 60 / 130)).toBeLessThan(0.03);
});

test("Stickiness goes by labels, so that users stay when routes change", () => {
  const policy = (version: number) =>
    compile([
      {
        matches: [],
        destinations: [
          { route: `route-a-${version}`, weight: 1, label: "a" },
          { route: `route-b-${version}`, weight: 1, label: "b" },
        ],
        rollout: byHeader(),
      },
    ]);
  const strip = (placed: string[]) => placed.map((route) => route.replace(/-\d$/, ""));
  expect(strip(placeUsers(policy(2)))).toEqual(strip(placeUsers(policy(1))));
});

test("A user is known by a cookie, a query parameter or the address, too", () => {
  const sticky = (key: NonNullable<PolicyRollout["sticky"]>["key"]) => split([50, 50], { sticky: { key, salt: "s" } });
  const known = [
    [
      sticky({ type: "cookie", name: "u" }),
      (user: string) => ({ headers: [["cookie", `a=u; xu=0; u="${user}"; u=1`]] as const }),
    ],
    [sticky({ type: "queryParameter", name: "u" }), (user: string) => ({ path: `/?x=1&u=${user}&u=1` })],
    [sticky({ type: "sourceAddress" }), (user: string) => ({ address: `${user}:${user.length * 7919}` })],
    [sticky({ type: "sourceAddress" }), (user: string) => ({ address: `${user}:80` })],
  ] as const;
  const header = placeUsers(split([50, 50], byHeader()));
  for (const [policy, asked] of known)
    for (let i = 0; i < 200; i++) expect(choose(policy, { ...asked(`user-${i}`), random: BigInt(i) })).toBe(header[i]);
});

test("Without its key a request is drawn for", () => {
  const policy = split([50, 50], byHeader());
  const drawn = Array.from({ length: 400 }, (_, i) => choose(policy, { random: BigInt(i) << 20n }));
  expect(new Set(drawn)).toEqual(new Set(["v1", "v2"]));
});

test("A ramp follows the clock between its breakpoints, and only moves users one way", () => {
  const ramp = [
    { at: 1_000, weights: [100, 0] },
    { at: 2_000, weights: [100, 0] },
    { at: 4_000, weights: [50, 50] },
    { at: 5_000, weights: [0, 100] },
  ];
  const policy = split([1, 1], { ...byHeader(), ramp });
  let before = placeUsers(policy, 0);
  for (const [now, expected] of [
    [0, 0],
    [2_000, 0],
    [3_000, 0.25],
    [4_000, 0.5],
    [4_500, 0.75],
    [5_000, 1],
    [1e12, 1],
  ] as const) {
    const after = placeUsers(policy, now);
    expect(Math.abs(share(after, "v2") - expected), `at ${now}`).toBeLessThan(expected % 1 === 0 ? 1e-9 : 0.03);
    expect([...moves(before, after)].filter((move) => move !== "v1 to v2")).toEqual([]);
    before = after;
  }
  const drawn = Array.from({ length: 4000 }, (_, i) => choose(policy, { now: 3_000, random: BigInt(i) << 24n }));
  expect(Math.abs(share(drawn, "v2") - 0.25)).toBeLessThan(0.03);
});

test("An override pins a request, even to a destination without weight", () => {
  const override = {
    header: "x-version",
    values: new Map([
      ["old", 0],
      ["new", 1],
    ]),
  };
  const policy = split([100, 0], { ...byHeader(), override });
  expect(
    choose(policy, {
      headers: [
        ["x-version", "new"],
        ["x-user", "u"],
      ],
    }),
  ).toBe("v2");
  expect(choose(policy, { headers: [["x-version", "old"]] })).toBe("v1");
  expect(choose(policy, { headers: [["x-version", "newer"]] })).toBe("v1");
});

test("Odds of faults are met down to small fractions, and draws of one seed repeat", () => {
  const policy = compile([
    {
      matches: [],
      destinations: [{ route: "a", weight: 1 }],
      fault: { delay: { millis: 5, percentage: 10 }, abort: { httpStatus: 500, percentage: 0.1 } },
    },
  ]);
  const draw = (i: number) => filter.decide(policy, [], { now: 0, random: BigInt(i) * 0x9e3779b97f4a7c15n });
  const drawn = Array.from({ length: 40_000 }, (_, i) => draw(i));
  const aborted = drawn.filter((decision) => decision.aborted).length;
  expect(Math.abs(drawn.filter((decision) => decision.delayed).length - 4000)).toBeLessThan(6 * Math.sqrt(3600));
  expect(Math.abs(aborted - 40)).toBeLessThan(6 * Math.sqrt(40));
  expect(draw(17)).toEqual(drawn[17]);
});
