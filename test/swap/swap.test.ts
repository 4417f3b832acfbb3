// Versions of the traffic filter, swapped in real Envoys under load, and taken back when they misbehave.
import { beforeAll, describe, expect, it } from "vitest";
import { rolloutText } from "../../controlplane/cli/rollout-text.js";
import { ask } from "../harness/client.js";
import { refusedByEnvoy, sameFilter } from "../harness/filter-modules.js";
import type { TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { rollOutFlawed } from "./bad-version.js";
import { allServe, backendOf, HOST, loadOn, startWorkload, urlOf, type Workload } from "./workload.js";

const scope = testScope();
let workload: Workload;

beforeAll(async () => {
  workload = await startWorkload(scope);
});

describe("a swap", () => {
  it("reaches every proxy, and goes back, without a failed or misrouted request", async () => {
    await workload.push("same-1", sameFilter("1"));
    const loads = workload.sidecars.flatMap((proxy) => [loadOn(proxy, "jason"), loadOn(proxy, "anna")]);
    const plan = await workload.use("same-1", { steps: [0.3, 1] });
    expect((await workload.ended(plan)).state).toMatchObject({ phase: "completed" });
    await workload.everyoneRuns("same-1");
    await workload.rollBack(plan);
    await workload.everyoneRuns("built-in");
    for (const [index, load] of loads.entries()) {
      const { broken, outcomes } = await load.stop();
      expect(broken).toEqual([]);
      expect(Object.keys(outcomes)).toEqual([index % 2 === 0 ? "v2" : "v1"]);
    }
  });

  it("lets requests that a delay fault holds end as they would have", async () => {
    await workload.push("same-2", sameFilter("2"));
    const [proxy] = workload.sidecars;
    const url = urlOf(proxy ?? { address: "" }, "/slow");
    const held = Promise.all(Array.from({ length: 20 }, () => ask(url, { headers: { host: HOST } })));
    const plan = await workload.use("same-2");
    await workload.ended(plan);
    await workload.everyoneRuns("same-2");
    expect((await held).map(backendOf)).toEqual(Array.from({ length: 20 }, () => "v2"));
    await workload.rollBack(plan);
    await workload.everyoneRuns("built-in");
  });

  it("reaches the proxies that a selector names, and no others", async () => {
    await workload.push("same-3", sameFilter("3"));
    const plan = await workload.use("same-3", { selector: { app: "b" } });
    await workload.ended(plan);
    const running = async () => (await workload.proxies()).map((proxy) => proxy.running).sort();
    await eventually("one runs it", async () => (await running()).join(" ") === "built-in built-in same-3");
    await workload.rollBack(plan);
    await workload.everyoneRuns("built-in");
  });
});

it("A version with which requests take longer goes back by itself", async () => {
  await workload.push("same-4", sameFilter("4"));
  const plan = await workload.use("same-4", { steps: [0.3, 1], holdMillis: 60_000 });
  const canary = await eventually("one is to have it", async () =>
    (await workload.proxies()).find(({ assigned }) => assigned === "same-4"),
  );
  const loads = workload.sidecars.map((proxy) =>
    proxy.id === canary.id ? loadOn(proxy, "anna", 30, "/late") : loadOn(proxy, "anna"),
  );
  const ended = await workload.ended(plan);
  for (const load of loads) await load.stop();
  expect(ended.state).toMatchObject({ phase: "rolled-back", step: 0 });
  expect(ended.state?.reason).toMatch(/ of \d+ requests took longer than \d+ ms, and /);
  // A bound that Envoy does not have by default.
  const { body } = await (workload.sidecars[0] as TestProxy).get("/stats?histogram_buckets=cumulative&filter=rq_time");
  expect(body).toContain("B35(");
  await workload.everyoneRuns("built-in");
});

it("A version that Envoy refuses goes back by itself, and the status says what Envoy says, time after time", async () => {
  await workload.push("refused", await refusedByEnvoy());
  for (const time of [1, 2]) {
    const plan = await workload.use("refused", { steps: [0.3, 1], holdMillis: 60_000 });
    const ended = await workload.ended(plan);
    const [canary] = workload.sidecars.filter(({ id }) => ended.state?.reason?.startsWith(`${id} rejected it: `));
    expect(canary, `${time}. ${rolloutText(ended)}`).toBeDefined();
    expect(rolloutText(ended)).toMatch(/: rolled back: .* rejected it: Unable to create Wasm plugin headgate.traffic/);
    await workload.everyoneRuns("built-in");
    expect(await allServe(workload.sidecars)).toBe(true);
  }
});

it("A version that traps goes back by itself, and the other proxies never see it", async () => {
  const { reason, canaries, others } = await rollOutFlawed(workload, "traps on every tenth request");
  expect(reason).toMatch(/VM failed/);
  expect(canaries).toHaveLength(1);
  expect(others).toEqual(["v1"]);
});

it("A version that never returns goes back by itself, and the Envoy that it hangs is replaced", async () => {
  const pids = new Map(workload.sidecars.map(({ id, process }) => [id, process.pid]));
  const { reason, canaries, others } = await rollOutFlawed(workload, "never returns");
  expect(reason).toMatch(/told nothing|ended and was started again/);
  expect(others).toEqual(["v1"]);
  const replaced = workload.sidecars.filter(({ id, process }) => process.pid !== pids.get(id));
  expect(replaced.map(({ id }) => id)).toEqual(canaries);
});
