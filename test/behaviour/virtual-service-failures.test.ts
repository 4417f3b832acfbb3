// Timeouts, retries and faults of VirtualService HTTP rules, field by field, on traffic through a real sidecar.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Backend, echo, failFirst, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const host = "reviews.default.svc.cluster.local";
let mesh: TestMesh;
let sidecar: TestProxy;
let near: Backend;
let far: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  near = await startBackend(scope, "near");
  far = await startBackend(scope, "far");
  await endpoints("region-1", "region-1");
  sidecar = await mesh.startProxy({ name: "client", locality: { region: "region-1" } });
});

beforeEach(() => {
  for (const backend of [near, far]) {
    backend.behave(echo);
    backend.requests.length = 0;
  }
});

/** Three shares of the traffic go to the first endpoint, as far as localities do not prefer one. */
function endpoints(first: string, second: string): Promise<void> {
  return mesh.apply(
    "reviews.yaml",
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: ${near.port}}, locality: ${first}, weight: 3}
  - {address: 127.0.0.1, ports: {http: ${far.port}}, locality: ${second}, weight: 1}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0}}
`,
  );
}

function apply(settings: string): Promise<void> {
  return mesh.apply("rule.yaml", virtualService("reviews", `  - route: [{destination: {host: reviews}}]\n${settings}`));
}

function call(path = "/") {
  return ask(`http://${sidecar.address}:9080${path}`, { headers: { host } });
}

/** The status of one request, and how many tries the backends saw of it: they may read one after Envoy has given it up. */
async function tries(): Promise<[number, number]> {
  const seen = () => near.requests.length + far.requests.length;
  const sent = () => sidecar.stat(`cluster.outbound|9080||${host}.upstream_rq_total`);
  const [seenBefore, sentBefore] = [seen(), await sent()];
  const { status } = await call();
  const expected = (await sent()) - sentBefore;
  await eventually("the backends see what was sent", () => seen() - seenBefore >= expected);
  return [status, seen() - seenBefore];
}

function both(behaviour: Parameters<Backend["behave"]>[0]): void {
  near.behave(behaviour);
  far.behave(behaviour);
}

describe("a timeout", () => {
  it("ends a request that gets no answer in time", async () => {
    covers("VirtualService", "http[].timeout");
    await apply("    timeout: 200ms\n");
    both(() => "stall");
    expect(await tries()).toEqual([504, 1]);
  });
});

describe("retries", () => {
  it("are as many as attempts says, each with its own timeout", async () => {
    covers("VirtualService", "http[].retries", "http[].retries.attempts", "http[].retries.perTryTimeout");
    await apply("    retries: {attempts: 2, perTryTimeout: 150ms}\n");
    both(() => "stall");
    expect(await tries()).toEqual([504, 3]);
    await apply("    retries: {attempts: 0}\n");
    both(failFirst(100));
    expect(await tries()).toEqual([503, 1]);
  });

  it("come on the conditions and status codes of retryOn alone", async () => {
    covers("VirtualService", "http[].retries.retryOn");
    await apply("    retries: {attempts: 1, retryOn: 'reset,418'}\n");
    both(failFirst(100, 418));
    expect(await tries()).toEqual([418, 2]);
    both(failFirst(100, 503));
    expect(await tries()).toEqual([503, 1]);
    both(() => "reset");
    expect(await tries()).toEqual([503, 2]);
    await apply("    retries: {attempts: 1, retryOn: 5xx}\n");
    both(failFirst(100, 500));
    expect(await tries()).toEqual([500, 2]);
  });

  it("wait as long as backoff says", async () => {
    covers("VirtualService", "http[].retries.backoff");
    both(failFirst(100));
    await apply("    retries: {attempts: 1, backoff: 1ms}\n");
    expect(await tries()).toEqual([503, 2]);
    // The wait is drawn from 0 to 10,000 s: it outlasts the timeout in all but one of 50,000 runs.
    await apply("    timeout: 200ms\n    retries: {attempts: 1, backoff: 10000s}\n");
    expect(await tries()).toEqual([504, 1]);
  });

  it("go to hosts not tried yet, unless retryIgnorePreviousHosts is false", async () => {
    covers("VirtualService", "http[].retries.retryIgnorePreviousHosts");
    near.behave(failFirst(1_000));
    const statuses = async () => {
      const found: number[] = [];
      for (let i = 0; i < 12; i++) found.push((await call()).status);
      return [...new Set(found)].sort();
    };
    await apply("    retries: {attempts: 1, retryIgnorePreviousHosts: true}\n");
    expect(await statuses()).toEqual([200]);
    // Of the first endpoint's three turns in four, two follow each other.
    await apply("    retries: {attempts: 1, retryIgnorePreviousHosts: false}\n");
    expect(await statuses()).toEqual([200, 503]);
  });

  it("reach other localities where retryRemoteLocalities says so", async () => {
    covers("VirtualService", "http[].retries.retryRemoteLocalities");
    await endpoints("region-1", "region-2");
    near.behave(failFirst(1_000));
    await apply("    retries: {attempts: 3, retryRemoteLocalities: false}\n");
    expect([await tries(), far.requests.length]).toEqual([[503, 4], 0]);
    await apply("    retries: {attempts: 3, retryRemoteLocalities: true}\n");
    expect((await call()).status).toBe(200);
    expect(far.requests.length).toBe(1);
    await endpoints("region-1", "region-1");
  });
});

describe("a fault", () => {
  it("aborts the percentage's share before the backend is reached", async () => {
    covers("VirtualService", "http[].fault", "http[].fault.abort", "http[].fault.abort.httpStatus");
    covers("VirtualService", "http[].fault.abort.percentage", "http[].fault.abort.percentage.value");
    await apply("    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}\n");
    expect(await tries()).toEqual([418, 0]);
    await apply("    fault: {abort: {httpStatus: 418, percentage: {value: 0}}}\n");
    expect(await tries()).toEqual([200, 1]);
  });

  it("delays the percentage's share", async () => {
    covers("VirtualService", "http[].fault.delay", "http[].fault.delay.fixedDelay");
    covers("VirtualService", "http[].fault.delay.percentage", "http[].fault.delay.percentage.value");
    await apply("    fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}\n");
    const started = performance.now();
    expect(await tries()).toEqual([200, 1]);
    expect(performance.now() - started).toBeGreaterThan(295);
    await apply("    fault: {delay: {fixedDelay: 1h, percentage: {value: 0}}}\n");
    expect(await tries()).toEqual([200, 1]);
  });

  it("takes the deprecated percent of a delay", async () => {
    covers("VirtualService", "http[].fault.delay.percent");
    await apply("    fault: {delay: {fixedDelay: 1h, percent: 0}}\n");
    expect(await tries()).toEqual([200, 1]);
    await apply("    fault: {delay: {fixedDelay: 300ms, percent: 100}}\n");
    const started = performance.now();
    expect(await tries()).toEqual([200, 1]);
    expect(performance.now() - started).toBeGreaterThan(295);
  });
});
