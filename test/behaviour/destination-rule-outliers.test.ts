// A DestinationRule's outlierDetection: which endpoints are ejected, how many, and for how long, through a real sidecar.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { loopbackAddress } from "../harness/addresses.js";
import { type Backend, echo, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
const backends: Backend[] = [];
let host = "";
let round = 0;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  for (const name of ["a", "b", "c", "d"]) backends.push(await startBackend(scope, name));
  sidecar = await mesh.startProxy({ name: "client" });
});

beforeEach(() => {
  for (const backend of backends) backend.behave(echo);
});

/** A service of a new name, so that nothing is ejected yet; `outliers` is YAML flow for outlierDetection. */
async function apply(outliers: string, places = backends.map(placeOf)): Promise<void> {
  round += 1;
  host = `shop-${round}.default.svc.cluster.local`;
  const endpoints = places.map((place) => `{address: ${place.host}, ports: {http: ${place.port}}}`);
  await mesh.apply(
    "shop.yaml",
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [${endpoints.join(", ")}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: ${host}, trafficPolicy: {outlierDetection: ${outliers}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [${host}], http: [{route: [{destination: {host: ${host}}}], retries: {attempts: 0}}]}
`,
  );
  expect(await mesh.violations()).toEqual([]);
}

const placeOf = ({ host, port }: { host: string; port: number }) => ({ host, port });

/** Envoy's main thread ejects: it has done so, and told its workers, when it has answered after an endpoint has failed. */
async function statuses(count: number): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < count; i++) {
    const { status } = await ask(`http://${sidecar.address}:9080/`, { headers: { host } });
    if (status !== 200) await ejected();
    seen.push(status);
  }
  return seen;
}

const failing = (...names: string[]) => {
  for (const backend of backends) if (names.includes(backend.name)) backend.behave(() => ({ status: failure }));
};
let failure = 500;

const figure = (name: string) => sidecar.stat(`cluster.outbound|9080||${host}.outlier_detection.${name}`);
const ejected = () => figure("ejections_active");
const count = (seen: readonly number[], status: number) => seen.filter((one) => one === status).length;

/** Envoy's workers learn of an ejection that follows another one up to a second later. */
function settles(what: string, status: number, expected: number): Promise<unknown> {
  return eventually(what, async () => count(await statuses(12), status) === expected);
}

describe("outlier detection", () => {
  it("ejects an endpoint after consecutive5xxErrors, and counts none with 0", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.consecutive5xxErrors");
    failure = 500;
    await apply("{consecutive5xxErrors: 3, maxEjectionPercent: 100}");
    failing("a");
    const seen = await statuses(24);
    expect(count(seen, 500)).toBe(3);
    expect(await ejected()).toBe(1);
    await apply("{consecutive5xxErrors: 0, maxEjectionPercent: 100}");
    expect(count(await statuses(24), 500)).toBe(6);
    expect(await ejected()).toBe(0);
  });

  it("counts 502, 503 and 504 alone for consecutiveGatewayErrors", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.consecutiveGatewayErrors");
    await apply("{consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, maxEjectionPercent: 100}");
    failure = 500;
    failing("a");
    expect(count(await statuses(16), 500)).toBe(4);
    failure = 503;
    failing("a");
    expect(count(await statuses(16), 503)).toBe(2);
    expect(await ejected()).toBe(1);
  });

  it("counts connections that fail by themselves when local errors are split off", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.splitExternalLocalOriginErrors");
    covers("DestinationRule", "trafficPolicy.outlierDetection.consecutiveLocalOriginFailures");
    const nobody = { host: await loopbackAddress(scope), port: 1 };
    const local = "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2";
    await apply(`{consecutive5xxErrors: 1, ${local}, maxEjectionPercent: 100}`, [
      nobody,
      ...backends.slice(0, 3).map(placeOf),
    ]);
    expect(count(await statuses(24), 503)).toBe(2);
    expect(await figure("ejections_enforced_consecutive_local_origin_failure")).toBe(1);
  });

  it("takes an endpoint back after baseEjectionTime, at the next interval", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.baseEjectionTime");
    covers("DestinationRule", "trafficPolicy.outlierDetection.interval");
    failure = 500;
    await apply("{consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 200ms, maxEjectionPercent: 100}");
    failing("a");
    await statuses(4);
    // It may be back already.
    expect(await figure("ejections_enforced_total")).toBeGreaterThan(0);
    for (const backend of backends) backend.behave(echo);
    await eventually("it is back", async () => (await ejected()) === 0);
    await apply("{consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 300s, maxEjectionPercent: 100}");
    failing("a");
    await statuses(4);
    await statuses(40);
    expect(await ejected()).toBe(1);
    // Time enough has gone by, but nobody looks before the interval is over.
    for (const backend of backends) backend.behave(echo);
    await apply("{consecutive5xxErrors: 1, interval: 300s, baseEjectionTime: 1ms, maxEjectionPercent: 100}");
    failing("a");
    await statuses(4);
    await statuses(40);
    expect(await ejected()).toBe(1);
  });

  it("ejects no more than maxEjectionPercent", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.maxEjectionPercent");
    failure = 500;
    await apply("{consecutive5xxErrors: 1, maxEjectionPercent: 50}");
    failing("a", "b", "c");
    await statuses(12);
    expect(await ejected()).toBe(2);
    await settles("one of the three that fail stays", 500, 6);
  });

  it("uses all endpoints again when fewer than minHealthPercent are healthy", async () => {
    covers("DestinationRule", "trafficPolicy.outlierDetection.minHealthPercent");
    failure = 500;
    await apply("{consecutive5xxErrors: 1, maxEjectionPercent: 100, minHealthPercent: 60}");
    failing("a", "b");
    await statuses(12);
    expect(await ejected()).toBe(2);
    await settles("all four are used", 500, 6);
    await apply("{consecutive5xxErrors: 1, maxEjectionPercent: 100, minHealthPercent: 40}");
    await settles("the healthy two are used", 500, 0);
  });
});
