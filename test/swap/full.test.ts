// What must hold of swaps, at length: `npm run test:swap`. The short form is swap.test.ts.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../harness/client.js";
import { type Flaw, sameFilter } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { rollOutFlawed } from "./bad-version.js";
import { type LoadTarget, median, percentileBetween, quickBackends, steadyLoad } from "./steady-load.js";
import { HOST, serveBackends, startWorkload, urlOf, type Workload } from "./workload.js";

const SWAPS = Number(process.env.HEADGATE_SWAP_COUNT ?? 50);
const SWAPS_ALONE = Math.min(SWAPS, 20);
const MOST_PER_SECOND = 5_000;
const SATURATION_MS = 4_000;
const SECOND = 1_000;
const OFF_WITHIN_MS = 5_000;
const SLOWER = 1.5;
const figures: string[] = [];

describe.skipIf(process.env.HEADGATE_SWAPS !== "full")("at length", () => {
  const scope = testScope();
  let workload: Workload;

  beforeAll(async () => {
    workload = await startWorkload(scope);
  });

  afterAll(() => console.log(figures.join("\n")));

  /** Half of the load that the machine gives, and swaps forwards and back of those proxies; resolves with the p99's ratio. */
  async function swapUnderLoad(count: number, proxies: Workload["sidecars"], selector: Record<string, string>) {
    await serveBackends(workload, await quickBackends(scope, ["v1", "v2"]));
    const versions = Array.from({ length: count / 2 }, (_, i) => `same-${proxies.length}-${i}`);
    for (const version of versions) await workload.push(version, sameFilter(version));
    const targets = proxies.flatMap(({ address }) => [target(address, "jason", "v2"), target(address, "anna", "v1")]);
    const load = steadyLoad(scope, targets, 8);
    load.start(0);
    await sleep(SATURATION_MS);
    const saturation = (await load.stop()).requests / (SATURATION_MS / SECOND);
    const rate = Math.min(MOST_PER_SECOND, Math.floor(saturation / 2));

    load.start(rate);
    const swaps: number[] = [];
    const held: Promise<string>[] = [];
    const swap = async (begin: () => Promise<unknown>, version: string) => {
      await sleep(SECOND);
      held.push(...proxies.map(slowly));
      swaps.push(Date.now());
      await begin();
      await workload.run(proxies, version);
    };
    for (const version of versions) {
      let plan: Awaited<ReturnType<Workload["use"]>> | undefined;
      await swap(async () => {
        plan = await workload.use(version, { selector });
        const { state } = await workload.ended(plan);
        expect(`${state?.phase} ${state?.reason ?? ""}`).toBe("completed ");
      }, version);
      await swap(async () => plan && workload.rollBack(plan), "built-in");
    }
    await sleep(SECOND);
    const report = await load.stop();
    const answers = new Set(await Promise.all(held));
    await serveBackends(workload, workload.backends);

    const before = swaps.map((at) => percentileBetween(report, 99, at - SECOND, at));
    const during = swaps.map((at) => percentileBetween(report, 99, at, at + SECOND));
    const ratios = during.map((millis, i) => millis / (before[i] ?? Number.NaN));
    figures.push(
      `${swaps.length} swaps of ${proxies.length} at ${rate} requests/s (this machine gives ${Math.round(saturation)}): ` +
        `${report.requests} requests, outcomes ${JSON.stringify(report.outcomes)}; ${held.length} delayed requests held over swaps`,
      `p99 in the second before a swap ${median(before).toFixed(1)} ms, in that of a swap ${median(during).toFixed(1)} ms; ` +
        `ratio: median ${median(ratios).toFixed(2)}, most ${Math.max(...ratios).toFixed(2)}`,
    );
    expect(report.outcomes).toEqual({ right: report.requests });
    expect(answers).toEqual(new Set(["200 v2"]));
    return median(ratios);
  }

  it(`${SWAPS} swaps forwards and back fail and misroute no request`, { timeout: 300_000 }, async () => {
    const ratio = await swapUnderLoad(SWAPS, workload.sidecars, {});
    // The three Envoys compile the module at the same moment, on the cores that client, backends and control plane share.
    figures.push(
      `three Envoys at once on one machine: p99 in the second of a swap is ${ratio.toFixed(2)} times that before`,
    );
  });

  it("a swap of the one Envoy that is under load slows it by no more than half", { timeout: 200_000 }, async () => {
    const ratio = await swapUnderLoad(SWAPS_ALONE, workload.sidecars.slice(0, 1), { app: "a" });
    expect(ratio).toBeLessThanOrEqual(SLOWER);
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
    expect(servesAgainAfterMs).toBeLessThan(OFF_WITHIN_MS);
  });
});

function target(host: string, user: string, backend: string): LoadTarget {
  return { host, port: 9080, backend, request: `GET / HTTP/1.1\r\nhost: ${HOST}\r\nend-user: ${user}\r\n\r\n` };
}

/** A request that a delay fault holds for two seconds. */
async function slowly(proxy: { readonly address: string }): Promise<string> {
  const { status, body } = await ask(urlOf(proxy, "/slow"), { headers: { host: HOST } });
  return `${status} ${body}`;
}
