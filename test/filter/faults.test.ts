// Faults in a real Envoy: delays and aborts, clients that leave, and filters that are swapped meanwhile.
import { setMaxListeners } from "node:events";
import { Agent } from "node:http";
import { beforeAll, expect, test } from "vitest";
import type { PolicyFault, PolicyRule } from "../../controlplane/policy/rule.js";
import { ask } from "../harness/client.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import {
  DiscoveredFilter,
  match,
  moduleOfOtherBytes,
  prefix,
  ruledHost,
  startTrafficEnvoy,
  type TrafficEnvoy,
} from "./traffic-envoy.js";

const scope = testScope();
let filter: DiscoveredFilter;
let envoy: TrafficEnvoy;

function faulty(path: string, fault: PolicyFault): PolicyRule {
  return { matches: [match({ uri: prefix(path) })], destinations: [{ route: path.slice(1), weight: 1 }], fault };
}

const rules: PolicyRule[] = [
  faulty("/longest", { delay: { millis: 60_000, percentage: 100 } }),
  faulty("/slower", { delay: { millis: 1500, percentage: 100 } }),
  faulty("/slow", { delay: { millis: 200, percentage: 100 } }),
  faulty("/never", { delay: { millis: 200, percentage: 0 }, abort: { httpStatus: 555, percentage: 0 } }),
  faulty("/broken", { abort: { httpStatus: 555, percentage: 100 } }),
  faulty("/grpc", { abort: { grpcStatus: 14, percentage: 100 } }),
  faulty("/both", { delay: { millis: 200, percentage: 100 }, abort: { httpStatus: 503, percentage: 100 } }),
  faulty("/half", { abort: { httpStatus: 555, percentage: 50 } }),
  faulty("/past", { abort: { httpStatus: 555, percentage: 100 }, expiresAt: 1_000_000_000_000 }),
  faulty("/future", { abort: { httpStatus: 555, percentage: 100 }, expiresAt: 9_000_000_000_000 }),
  { matches: [], destinations: [{ route: "rest", weight: 1 }] },
];

beforeAll(async () => {
  filter = await DiscoveredFilter.create(scope);
  envoy = await startTrafficEnvoy(scope, [ruledHost("all", ["*"], rules)], { filters: [filter.filter] });
});

async function timed(path: string): Promise<{ status: number; body: string; milliseconds: number }> {
  const start = performance.now();
  const { status, body } = await ask(envoy.url + path);
  return { status, body, milliseconds: performance.now() - start };
}

test("A delay holds the request for its time, and then lets it go where it was to go", async () => {
  const { status, body, milliseconds } = await timed("/slow");
  expect({ status, body }).toEqual({ status: 200, body: "slow" });
  expect(milliseconds).toBeGreaterThanOrEqual(200);
});

test("An abort answers with its status and Envoy's words", async () => {
  expect(await timed("/broken")).toMatchObject({ status: 555, body: "fault filter abort" });
});

test("An abort with a gRPC status answers as gRPC does", async () => {
  const answer = await ask(`${envoy.url}/grpc`, { method: "POST", headers: { "content-type": "application/grpc" } });
  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({ "grpc-status": "14", "grpc-message": "fault filter abort" });
});

test("A delay and an abort come one after the other", async () => {
  const { status, milliseconds } = await timed("/both");
  expect(status).toBe(503);
  expect(milliseconds).toBeGreaterThanOrEqual(200);
});

test("Odds of nothing never strike, and a fault that has ended does not either", async () => {
  for (let i = 0; i < 50; i++) {
    expect(await timed("/never")).toMatchObject({ status: 200, body: "never" });
    expect(await timed("/past")).toMatchObject({ status: 200, body: "past" });
  }
  expect((await timed("/future")).status).toBe(555);
});

test("Half the odds strike about half of the requests", async () => {
  const agent = new Agent({ keepAlive: true });
  let struck = 0;
  for (let i = 0; i < 1000; i++) if ((await ask(`${envoy.url}/half`, { agent })).status === 555) struck++;
  agent.destroy();
  // Six standard deviations.
  expect(Math.abs(struck - 500)).toBeLessThan(95);
});

test("A thousand requests wait at once, none before its time and each for itself", async () => {
  const answers = await Promise.all(Array.from({ length: 1000 }, () => timed("/slower")));
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(["200 slower"]));
  expect(Math.min(...answers.map(({ milliseconds }) => milliseconds))).toBeGreaterThanOrEqual(1500);
});

test("A client that leaves during its delay takes nobody with it", async () => {
  const stop = new AbortController();
  setMaxListeners(20, stop.signal);
  const before = await delays();
  const leaving = () => ask(`${envoy.url}/longest`, { signal: stop.signal }).catch(() => "left");
  const left = Array.from({ length: 20 }, leaving);
  const stayed = timed("/slow");
  await eventually("the requests arrived", async () => (await delays()) >= before + 21);
  stop.abort();
  expect(await Promise.all(left)).toEqual(left.map(() => "left"));
  expect(await stayed).toMatchObject({ status: 200, body: "slow" });
  await eventually("nothing waits any more", async () => (await envoy.stat("http.front.downstream_rq_active")) === 0);
  expect(await timed("/slow")).toMatchObject({ status: 200, body: "slow" });
});

test("The filter's counters are among Envoy's statistics", async () => {
  expect((await envoy.get("/stats/prometheus")).body).toMatch(/^headgate_decisions_broken\{\} [1-9]/m);
  expect(await envoy.stat("wasmcustom.headgate.decisions.broken")).toBeGreaterThan(0);
  expect(await envoy.stat("wasmcustom.headgate.aborts_injected")).toBeGreaterThan(0);
  expect(await envoy.stat("wasmcustom.headgate.delays_injected")).toBeGreaterThan(1000);
  expect(await envoy.stat("wasmcustom.headgate.images_loaded")).toBeGreaterThan(0);
  expect(await envoy.stat("wasmcustom.headgate.images_refused")).toBe(0);
  expect(await envoy.stat("wasmcustom.headgate.undecided")).toBe(0);
});

test("Requests that wait while the filter's code is swapped end as they would have", async () => {
  const before = await delays();
  const waiting = Array.from({ length: 30 }, () => timed("/slower"));
  await eventually("the requests arrived", async () => (await delays()) >= before + 30);
  await filter.replace({ module: await moduleOfOtherBytes(scope) });
  await eventually("the filter was swapped", async () => (await updates()) === 2);
  expect(await timed("/slow")).toMatchObject({ status: 200, body: "slow" });
  for (const answer of await Promise.all(waiting)) {
    expect(answer).toMatchObject({ status: 200, body: "slower" });
    expect(answer.milliseconds).toBeGreaterThanOrEqual(1500);
  }
});

test("Requests that wait while only the filter's configuration changes end as they would have", async () => {
  const before = await delays();
  const waiting = Array.from({ length: 30 }, () => timed("/slower"));
  await eventually("the requests arrived", async () => (await delays()) >= before + 30);
  await filter.replace({ module: await moduleOfOtherBytes(scope), configuration: "another" });
  await eventually("the filter was swapped", async () => (await updates()) === 3);
  for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status: 200, body: "slower" });
  expect(await timed("/slow")).toMatchObject({ status: 200, body: "slow" });
});

/** All so far; how many are under way may be less than what was sent, once the first of them are over. */
function delays(): Promise<number> {
  return envoy.stat("wasmcustom.headgate.delays_injected");
}

function updates(): Promise<number> {
  return envoy.stat("extension_config_discovery.http_filter.headgate.traffic.config_reload");
}
