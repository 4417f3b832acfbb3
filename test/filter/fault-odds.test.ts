// The ends of a fault's odds, decided by the filter in Node with draws that are known beforehand.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { PolicyFault } from "../../controlplane/policy/rule.js";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import { compile, MODULE } from "./traffic-envoy.js";

const filter = new TrafficFilter(readFileSync(MODULE));
/** What SplitMix64's state grows by for each number that it gives. */
const STEP = 0x9e3779b97f4a7c15n;
/** Of a request, after the one for its destination. */
const DELAY_DRAW = 2n;
const ABORT_DRAW = 3n;

/** Decides with a generator whose state is 0, which gives 0, at one of the draws. */
function decide(fault: PolicyFault, zeroAt: bigint): { delayed: boolean; aborted: boolean } {
  const compiled = compile([{ matches: [], destinations: [{ route: "a", weight: 1 }], fault }]);
  const { delayed, aborted } = filter.decide(compiled, [[":path", "/"]], { now: 0, random: -zeroAt * STEP });
  return { delayed, aborted: aborted !== undefined };
}

test("Odds of one in a million strike at the lowest draw, and odds of nothing never do", () => {
  const both = (percentage: number): PolicyFault => ({
    delay: { millis: 1, percentage },
    abort: { httpStatus: 500, percentage },
  });
  expect(decide(both(0.0001), DELAY_DRAW)).toEqual({ delayed: true, aborted: false });
  expect(decide(both(0.0001), ABORT_DRAW)).toEqual({ delayed: false, aborted: true });
  for (const draw of [DELAY_DRAW, ABORT_DRAW])
    expect(decide(both(0), draw)).toEqual({ delayed: false, aborted: false });
});

test("A fault ends at the very millisecond of its expiry", () => {
  const fault: PolicyFault = { abort: { httpStatus: 500, percentage: 100 }, expiresAt: 1_000 };
  const compiled = compile([{ matches: [], destinations: [{ route: "a", weight: 1 }], fault }]);
  const abortedAt = (now: number) => filter.decide(compiled, [[":path", "/"]], { now, random: 1n }).aborted;
  expect(abortedAt(999)).toEqual({ httpStatus: 500 });
  expect(abortedAt(1_000)).toBeUndefined();
});
