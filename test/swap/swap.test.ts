// Versions of the traffic filter, swapped in real Envoys under load, and taken back when they misbehave.
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { type Flaw, flawedFilter, sameFilter } from "../harness/filter-modules.js";
import { startLoad } from "../harness/load.js";
import type { TestProxy } from "../harness/mesh.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type SwapMesh, startSwapMesh } from "./swapping.js";

const scope = testScope();
const host = "reviews.default.svc.cluster.local";
let swap: SwapMesh;
let proxies: TestProxy[];

beforeAll(async () => {
  swap = await startSwapMesh(scope);
  const backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
  await swap.mesh.apply("service.yaml", httpService("reviews", backends));
  await swap.mesh.apply(
    "rules.yaml",
    virtualService(
      "reviews",
      `  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {fixedDelay: 2s, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
`,
    ),
  );
  proxies = [];
  for (const name of ["a", "b", "c"]) proxies.push(await swap.mesh.startProxy({ name, labels: { app: name } }));
});

const urlOf = (proxy: TestProxy, path = "/") => `http://${proxy.address}:9080${path}`;
const backendOf = ({ status, body }: { status: number; body: string }) =>
  status === 200 ? JSON.parse(body).backend : `status ${status}`;
const loadOn = (proxy: TestProxy, user: string) =>
  startLoad({ url: urlOf(proxy), headers: { host, "end-user": user }, concurrency: 2, name: backendOf });

async function running(): Promise<string[]> {
  return (await swap.proxies()).map(({ running }) => running);
}

describe("a swap", () => {
  it("reaches every proxy, and goes back, without a failed or misrouted request", async () => {
    await swap.push("same-1", sameFilter("1"));
    const loads = proxies.flatMap((proxy) => [loadOn(proxy, "jason"), loadOn(proxy, "anna")]);
    const plan = await swap.use("same-1", { steps: [0.3, 1] });
    expect((await swap.ended(plan)).state).toMatchObject({ phase: "completed" });
    await eventually("all run it", async () => (await running()).every((version) => version === "same-1"));
    await swap.rollBack(plan);
    await eventually("all run the first", async () => (await running()).every((version) => version === "built-in"));
    for (const [index, load] of loads.entries()) {
      const { broken, outcomes } = await load.stop();
      expect(broken).toEqual([]);
      expect(Object.keys(outcomes)).toEqual([index % 2 === 0 ? "v2" : "v1"]);
    }
  });

  it("lets requests that a delay fault holds end as they would have", async () => {
    await swap.push("same-2", sameFilter("2"));
    const [proxy] = proxies as [TestProxy];
    const before = Date.now();
    const slow = Promise.all(Array.from({ length: 20 }, () => ask(urlOf(proxy, "/slow"), { headers: { host } })));
    const plan = await swap.use("same-2");
    await swap.ended(plan);
    await eventually("it runs", async () => (await running()).every((version) => version === "same-2"));
    expect((await slow).map(backendOf)).toEqual(Array.from({ length: 20 }, () => "v2"));
    expect(Date.now() - before).toBeGreaterThanOrEqual(2_000);
    await swap.rollBack(plan);
  });

  it("reaches the proxies that a selector names, and no others", async () => {
    await swap.push("same-3", sameFilter("3"));
    const plan = await swap.use("same-3", { selector: { app: "b" } });
    await swap.ended(plan);
    await eventually("b runs it", async () => (await running()).join(" ") === "built-in same-3 built-in");
    await swap.rollBack(plan);
    await eventually("b is back", async () => (await running()).every((version) => version === "built-in"));
  });
});

describe("a version goes back by itself", () => {
  it.each<[Flaw, RegExp]>([
    ["traps on every tenth request", /VM failed/],
    ["exhausts memory", /VM failed/],
    ["answers 500 to every third", /% of \d+ requests failed/],
  ])("when it %s, and the other proxies never see it", async (flaw, reason) => {
    const version = flaw.replaceAll(" ", "-");
    await swap.push(version, await flawedFilter(flaw));
    const loads = proxies.map((proxy) => loadOn(proxy, "anna"));
    const plan = await swap.use(version, { steps: [0.3, 1], holdMillis: 60_000 });
    const seen = new Set<string>();
    const ended = swap.ended(plan);
    let over = false;
    void ended.finally(() => {
      over = true;
    });
    while (!over) for (const { id, assigned } of await swap.proxies()) if (assigned === version) seen.add(id);
    expect((await ended).state).toMatchObject({ phase: "rolled-back", reason: expect.stringMatching(reason) });
    expect(seen.size).toBe(1);
    for (const [index, load] of loads.entries()) {
      const { outcomes } = await load.stop();
      if (!seen.has(proxies[index]?.id ?? "")) expect(Object.keys(outcomes)).toEqual(["v1"]);
    }
    await eventually("every proxy serves again", async () => {
      const answers = await Promise.all(proxies.map((proxy) => ask(urlOf(proxy), { headers: { host } })));
      return answers.every((answer) => backendOf(answer) === "v1");
    });
  });
});
