// Timeouts, retries, faults and circuit breakers, on traffic through a real sidecar to backends that misbehave.
import { setMaxListeners } from "node:events";
import { Agent } from "node:http";
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, echo, failFirst, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { sendMany } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { serviceEntry, subsets, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let ratings: Backend;
const host = "ratings.default.svc.cluster.local";

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  ratings = await startBackend(scope, "ratings");
  await mesh.apply("ratings.yaml", serviceEntry("ratings", { v1: ratings }));
  await mesh.apply("subsets.yaml", subsets("ratings", ["v1"]));
  sidecar = await mesh.startProxy({ name: "client" });
});

const TO_V1 = "[{destination: {host: ratings, subset: v1}}]";

function call(method = "GET", headers: Record<string, string> = {}) {
  const body = method === "POST" ? { body: "x" } : {};
  return ask(`http://${sidecar.address}:9080/`, { method, headers: { host, ...headers }, ...body });
}

/** Of the cluster that all rules lead to, by its name in Envoy. */
const stat = (name: string) => sidecar.stat(`cluster.outbound|9080|v1|${host}.${name}`);

/** The status of a call, and how many tries of it the backend saw: it may read the last one after Envoy has given it up. */
async function tries(method = "GET"): Promise<[status: number, tries: number]> {
  ratings.requests.length = 0;
  const before = await stat("upstream_rq_total");
  const { status } = await call(method);
  const sent = (await stat("upstream_rq_total")) - before;
  await eventually("the backend sees what was sent", () => ratings.requests.length >= sent);
  return [status, ratings.requests.length];
}

describe("retries", () => {
  it("are as many as attempts says, on a backend that fails", async () => {
    covers("VirtualService", "http[].retries.attempts");
    await mesh.apply(
      "rule.yaml",
      virtualService(
        "ratings",
        `  - route: ${TO_V1}\n    timeout: 10s\n    retries: {attempts: 3, perTryTimeout: 2s}\n`,
      ),
    );
    ratings.behave(failFirst(1_000));
    expect(await tries()).toEqual([503, 4]);
    ratings.behave(failFirst(3));
    expect(await tries()).toEqual([200, 4]);
  });

  it("come after perTryTimeout, on a backend that stalls, and end in 504", async () => {
    covers("VirtualService", "http[].retries.perTryTimeout");
    const apply = (perTryTimeout: string) =>
      mesh.apply(
        "rule.yaml",
        virtualService(
          "ratings",
          `  - route: ${TO_V1}\n    timeout: 10s\n    retries: {attempts: 3, perTryTimeout: ${perTryTimeout}}\n`,
        ),
      );
    await apply("100ms");
    ratings.behave(() => "stall");
    expect(await tries()).toEqual([504, 4]);
    // What answers must do so in time on a busy machine, too.
    await apply("1s");
    ratings.behave((request, before) => (before < 2 ? "stall" : echo(request, before)));
    expect(await tries()).toEqual([200, 3]);
  });

  it("do not replay a POST unless the rule says when to retry", async () => {
    covers("VirtualService", "http[].retries.retryOn");
    ratings.behave(failFirst(1_000));
    expect(await tries("POST")).toEqual([503, 1]);
    await mesh.apply(
      "rule.yaml",
      virtualService("ratings", `  - route: ${TO_V1}\n    retries: {attempts: 2, retryOn: "503"}\n`),
    );
    expect(await tries("POST")).toEqual([503, 3]);
  });

  it("do not happen for a failing backend when no rule asks for them, nor with attempts 0", async () => {
    await mesh.apply("rule.yaml", virtualService("ratings", `  - route: ${TO_V1}\n`));
    ratings.behave(failFirst(1_000));
    expect(await tries()).toEqual([503, 1]);
    await mesh.apply(
      "rule.yaml",
      virtualService("ratings", `  - route: ${TO_V1}\n    retries: {attempts: 0, retryOn: 5xx}\n`),
    );
    expect(await tries()).toEqual([503, 1]);
  });
});

describe("a timeout", () => {
  it("ends a request whose answer began and then stalled, and one that got no answer", async () => {
    covers("VirtualService", "http[].timeout");
    const apply = (timeout: string) =>
      mesh.apply(
        "rule.yaml",
        virtualService("ratings", `  - route: ${TO_V1}\n    timeout: ${timeout}\n    retries: {attempts: 0}\n`),
      );
    await apply("200ms");
    ratings.behave(() => "stall");
    expect((await call()).status).toBe(504);
    // What begins must do so in time on a busy machine, too.
    await apply("1s");
    ratings.behave(() => ({ status: 200, thenStall: true }));
    const begun = await call();
    expect([begun.status, begun.complete]).toEqual([200, false]);
  });
});

describe("a fault", () => {
  it("aborts the share that the percentage says, with its status, before the backend is reached", async () => {
    covers("VirtualService", "http[].fault.abort.httpStatus", "http[].fault.abort.percentage.value");
    ratings.behave(echo);
    ratings.requests.length = 0;
    await mesh.apply(
      "rule.yaml",
      virtualService(
        "ratings",
        `  - route: ${TO_V1}\n    fault: {abort: {httpStatus: 418, percentage: {value: 20}}}\n`,
      ),
    );
    const { outcomes } = await sendMany(2_000, {
      url: `http://${sidecar.address}:9080/`,
      headers: { host },
      concurrency: 8,
    });
    expect(Object.keys(outcomes).sort()).toEqual(["200", "418"]);
    // Six standard deviations of a binomial of 2,000 at 0.2.
    expect(Math.abs((outcomes[418] ?? 0) - 400)).toBeLessThan(107);
    expect(ratings.requests.length).toBe(outcomes[200]);
  });

  it("delays the share that the percentage says, and lets it through", async () => {
    covers("VirtualService", "http[].fault.delay.fixedDelay", "http[].fault.delay.percentage.value");
    ratings.behave(echo);
    const apply = (fixedDelay: string, percentage: number) =>
      mesh.apply(
        "rule.yaml",
        virtualService(
          "ratings",
          `  - route: ${TO_V1}\n    fault: {delay: {fixedDelay: ${fixedDelay}, percentage: {value: ${percentage}}}}\n`,
        ),
      );
    await apply("1h", 10);
    const inEnvoy = (name: string) => sidecar.stat(`http.outbound_9080.downstream_rq_${name}`);
    const before = await inEnvoy("total");
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const statuses: number[] = [];
    const sent = Array.from({ length: 500 }, () =>
      ask(`http://${sidecar.address}:9080/`, { headers: { host }, signal: stop.signal }).then(
        ({ status }) => statuses.push(status),
        () => undefined,
      ),
    );
    await eventually("all have come", async () => (await inEnvoy("total")) - before === 500);
    await eventually("all but those that are delayed are answered", async () => {
      const due = (await stat("upstream_rq_pending_active")) + (await stat("upstream_rq_active"));
      return due === 0 && (await inEnvoy("active")) === 500 - statuses.length;
    });
    stop.abort();
    await Promise.all(sent);
    expect(new Set(statuses)).toEqual(new Set([200]));
    // Six standard deviations of a binomial of 500 at 0.1.
    expect(Math.abs(500 - statuses.length - 50)).toBeLessThan(41);
    await apply("50ms", 100);
    const started = performance.now();
    expect((await call()).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(49);
  });

  it("does not switch retries off", async () => {
    await mesh.apply(
      "rule.yaml",
      virtualService(
        "ratings",
        `  - route: ${TO_V1}\n    fault: {delay: {fixedDelay: 1ms, percentage: {value: 100}}}\n    retries: {attempts: 2}\n`,
      ),
    );
    ratings.behave(failFirst(2));
    expect(await tries()).toEqual([200, 3]);
  });
});

describe("maxConnections", () => {
  it("of 100 refuses the 101st connection; its request waits for one of the hundred", async () => {
    covers("DestinationRule", "subsets[].trafficPolicy.connectionPool.tcp.maxConnections", "subsets[].trafficPolicy");
    await mesh.apply("subsets.yaml", subsets("ratings", ["v1"], "{connectionPool: {tcp: {maxConnections: 100}}}"));
    await mesh.apply("rule.yaml", virtualService("ratings", `  - route: ${TO_V1}\n`));
    ratings.behave((request) => (request.path === "/held" ? "stall" : echo(request, 0)));
    const stop = new AbortController();
    const agent = new Agent({ keepAlive: true });
    const hold = (count: number) =>
      Array.from({ length: count }, () =>
        ask(`http://${sidecar.address}:9080/held`, { headers: { host }, agent, signal: stop.signal }).catch(
          () => undefined,
        ),
      );
    setMaxListeners(0, stop.signal);
    const refused = () => stat("upstream_cx_overflow");
    const held = hold(100);
    const stalled = () => ratings.requests.filter(({ path }) => path === "/held").length;
    await eventually("100 requests that stall", () => stalled() === 100);
    expect(await refused()).toBe(0);
    const waiting = ask(`http://${sidecar.address}:9080/`, { headers: { host }, agent });
    await eventually("the 101st connection is refused", async () => (await refused()) > 0);
    expect(await stat("upstream_cx_active")).toBe(100);
    stop.abort();
    expect((await waiting).status).toBe(200);
    await Promise.all(held);
    agent.destroy();
  });
});
