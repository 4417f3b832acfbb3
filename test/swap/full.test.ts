// What must hold of swaps, at length: `npm run test:swap`. The short form is swap.test.ts.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Flaw, sameFilter } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { rollOutFlawed } from "./bad-version.js";
import { loadOn, startWorkload, type Workload } from "./workload.js";

const SWAPS = 50;
const OFF_WITHIN_MS = 5_000;
const figures: string[] = [];

describe.skipIf(process.env.HEADGATE_SWAPS !== "full")("at length", () => {
  const scope = testScope();
  let workload: Workload;

  beforeAll(async () => {
    workload = await startWorkload(scope);
  });

  afterAll(() => console.log(figures.join("\n")));

  it(`${SWAPS} swaps forwards and back fail and misroute no request`, { timeout: 600_000 }, async () => {
    const loads = workload.sidecars.flatMap((proxy) => [loadOn(proxy, "jason", 4), loadOn(proxy, "anna", 4)]);
    const began = Date.now();
    for (let i = 0; i < SWAPS / 2; i++) {
      const version = `even-${i}`;
      await workload.push(version, sameFilter(version));
      const plan = await workload.use(version);
      const { state } = await workload.ended(plan);
      expect(`${state?.phase} ${state?.reason ?? ""}`).toBe("completed ");
      await workload.everyoneRuns(version);
      await workload.rollBack(plan);
      await workload.everyoneRuns("built-in");
    }
    let requests = 0;
    for (const [index, load] of loads.entries()) {
      const result = await load.stop();
      requests += result.requests;
      expect(result.broken).toEqual([]);
      expect(Object.keys(result.outcomes)).toEqual([index % 2 === 0 ? "v2" : "v1"]);
    }
    const seconds = (Date.now() - began) / 1000;
    figures.push(`${SWAPS} swaps: ${requests} requests, ${Math.round(requests / seconds)}/s, none failed or misrouted`);
  });

  it.each<[Flaw, RegExp]>([
    ["traps on every tenth request", /VM failed/],
    ["exhausts memory", /VM failed|told nothing/],
    ["never returns", /told nothing|ended and was started again/],
  ])("a version that %s is off every canary in time", { timeout: 120_000 }, async (flaw, expected) => {
    const { reason, canaries, offAfterMs, servesAgainAfterMs, others } = await rollOutFlawed(workload, flaw);
    figures.push(`${flaw}: off after ${offAfterMs} ms, serving again after ${servesAgainAfterMs} ms: ${reason}`);
    expect(reason).toMatch(expected);
    expect(canaries).toHaveLength(1);
    expect(others).toEqual(["v1"]);
    expect(offAfterMs).toBeLessThan(OFF_WITHIN_MS);
  });
});
