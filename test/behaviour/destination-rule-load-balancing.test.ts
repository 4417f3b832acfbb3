// How a DestinationRule's loadBalancer picks among endpoints, on traffic through real sidecars.
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
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
const host = "shop.default.svc.cluster.local";
/** Where the backends a, b, c and d are; the sidecar is beside a. */
const localities = ["eu/north/1", "eu/north/2", "us/east/1", "asia/south/1"];

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  for (const name of ["a", "b", "c", "d"]) backends.push(await startBackend(scope, name));
  await mesh.apply("shop.yaml", shop(4));
  sidecar = await mesh.startProxy({
    name: "client",
    labels: { tier: "gold", color: "blue" },
    locality: { region: "eu", zone: "north", subzone: "1" },
  });
});

/** A service on the first `count` backends, the third of them with the client's color. */
function shop(count: number, name = "shop"): string {
  const endpoints = backends.slice(0, count).map(({ port }, index) => {
    const labels = `{tier: ${index < 3 ? "gold" : "iron"}, color: ${index === 2 ? "blue" : "red"}}`;
    return `  - {address: 127.0.0.1, ports: {http: ${port}}, locality: ${localities[index]}, labels: ${labels}}`;
  });
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
${endpoints.join("\n")}
`;
}

/** `policy` is YAML flow for trafficPolicy. */
async function apply(policy: string): Promise<void> {
  await mesh.apply(
    "rule.yaml",
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop, trafficPolicy: ${policy}}
`,
  );
  expect((await mesh.violations()).filter(({ severity }) => severity === "error")).toEqual([]);
}

async function answer(headers: Record<string, string> = {}, path = "/") {
  const {
    status,
    body,
    headers: got,
  } = await ask(`http://${sidecar.address}:9080${path}`, {
    headers: { host, ...headers },
  });
  return { backend: status === 200 ? (JSON.parse(body).backend as string) : `status ${status}`, headers: got };
}

async function answers(count: number, headers?: Record<string, string>, path?: string): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) seen.push((await answer(headers, path)).backend);
  return seen;
}

function tally(seen: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of seen) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe("a simple load balancer", () => {
  it("ROUND_ROBIN gives each endpoint its turn, RANDOM does not", async () => {
    covers("DestinationRule", "host", "trafficPolicy", "trafficPolicy.loadBalancer");
    covers("DestinationRule", "trafficPolicy.loadBalancer.simple");
    await apply("{loadBalancer: {simple: ROUND_ROBIN}}");
    expect(tally(await answers(24))).toEqual({ a: 6, b: 6, c: 6, d: 6 });
    await apply("{loadBalancer: {simple: RANDOM}}");
    // Exactly equal turns in order have a probability below 4 ** -20.
    const seen = await answers(24);
    expect(seen.every((name, index) => index < 4 || name === seen[index - 4])).toBe(false);
  });

  it("LEAST_REQUEST keeps away from endpoints that are busy", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.simple");
    await apply("{loadBalancer: {simple: LEAST_REQUEST}}");
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const [slow] = backends;
    if (!slow) throw new Error("there are no backends");
    let [stalled, tellOfStall] = [0, () => {}];
    slow.behave(() => {
      stalled += 1;
      tellOfStall();
      return "stall";
    });
    const sent: Promise<unknown>[] = [];
    /** Resolves when the request was answered, or stalls. */
    const send = () => {
      const stalls = new Promise<void>((resolve) => {
        tellOfStall = resolve;
      });
      const one = ask(`http://${sidecar.address}:9080/`, { headers: { host }, signal: stop.signal });
      sent.push(one.catch(() => undefined));
      return Promise.race([sent.at(-1), stalls]);
    };
    while (stalled === 0) await send();
    for (let i = 0; i < 120; i++) await send();
    // What stalls makes its endpoint the busier one of any two: it gets what both choices fall on, 1 in 16, and six standard
    // deviations. Round robin would give 30.
    expect(stalled - 1).toBeLessThan(24);
    stop.abort();
    await Promise.all(sent);
    slow.behave(echo);
  });
});

describe("a consistent hash", () => {
  it("keeps a header's value, and a query parameter's, with one endpoint", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpHeaderName");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpQueryParameterName");
    const keys = Array.from({ length: 24 }, (_, index) => `user-${index}`);
    await apply("{loadBalancer: {consistentHash: {httpHeaderName: X-User}}}");
    const byHeader = await Promise.all(keys.map((key) => answers(3, { "x-user": key })));
    expect(byHeader.every((seen) => new Set(seen).size === 1)).toBe(true);
    expect(new Set(byHeader.flat()).size).toBeGreaterThan(1);
    await apply("{loadBalancer: {consistentHash: {httpQueryParameterName: user}}}");
    const byQuery = await Promise.all(keys.map((key) => answers(3, {}, `/?x=1&user=${key}`)));
    expect(byQuery.every((seen) => new Set(seen).size === 1)).toBe(true);
    expect(new Set(byQuery.flat()).size).toBeGreaterThan(1);
  });

  it("by cookie gives one with path and ttl to who has none, and keeps who has one", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpCookie");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpCookie.name");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpCookie.path");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl");
    await apply("{loadBalancer: {consistentHash: {httpCookie: {name: stick, path: /shop, ttl: 60s}}}}");
    const first = await answer();
    const [set = ""] = first.headers["set-cookie"] ?? [];
    expect(set).toMatch(/^stick="?[^;]+; Max-Age=60; Path=\/shop/);
    const cookie = set.split(";", 1)[0] ?? "";
    expect(new Set(await answers(8, { cookie }))).toEqual(new Set([first.backend]));
    const others = await Promise.all(Array.from({ length: 16 }, (_, i) => answer({ cookie: `stick=${i}` })));
    expect(new Set(others.map(({ backend }) => backend)).size).toBeGreaterThan(1);
    expect(others[0]?.headers["set-cookie"]).toBeUndefined();
  });

  it("by source address keeps a client with one endpoint", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.useSourceIp");
    await apply("{loadBalancer: {consistentHash: {useSourceIp: true}}}");
    expect(new Set(await answers(12)).size).toBe(1);
  });

  it("has a ring of the size asked for, or maglev's table", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.ringHash");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.maglev");
    covers("DestinationRule", "trafficPolicy.loadBalancer.consistentHash.maglev.tableSize");
    const cluster = `cluster.outbound|9080||${host}`;
    await apply("{loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 5000}}}}");
    expect(await sidecar.stat(`${cluster}.ring_hash_lb.size`)).toBeGreaterThanOrEqual(5000);
    await apply("{loadBalancer: {consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 101}}}}");
    const entries = await Promise.all(
      ["min", "max"].map((end) => sidecar.stat(`${cluster}.maglev_lb.${end}_entries_per_host`)),
    );
    // 101 entries among 4 endpoints.
    expect(entries).toEqual([25, 26]);
    expect(new Set(await answers(6, { "x-user": "ada" })).size).toBe(1);
  });
});

describe("locality load balancing", () => {
  const OUTLIERS = "outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 300s, maxEjectionPercent: 100}";

  it("distributes by percentages among localities", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.distribute");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.distribute[].from");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.distribute[].to");
    const shares = (from: string) =>
      `{loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {distribute: [{from: "${from}", to: {"eu/north/*": 20, "us/*": 80}}]}}}`;
    await apply(shares("eu/north/*"));
    const counts = tally(await answers(100));
    expect(Object.keys(counts).sort()).toEqual(["a", "b", "c"]);
    expect(Math.abs((counts.c ?? 0) - 80)).toBeLessThan(5);
    await apply(shares("us/*"));
    expect(new Set(await answers(8)).size).toBe(4);
  });

  it("prefers by shared labels with failoverPriority, and nothing when it is switched off", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.failoverPriority");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.enabled");
    await apply(`{${OUTLIERS}, loadBalancer: {localityLbSetting: {failoverPriority: [tier, color]}}}`);
    expect(new Set(await answers(8))).toEqual(new Set(["c"]));
    await apply(`{${OUTLIERS}, loadBalancer: {localityLbSetting: {enabled: false, failoverPriority: [tier, color]}}}`);
    expect(new Set(await answers(12))).toEqual(new Set(["a", "b", "c", "d"]));
  });

  it("prefers what is near when outliers are detected, and fails over to the region that is named", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.failover");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.failover[].from");
    covers("DestinationRule", "trafficPolicy.loadBalancer.localityLbSetting.failover[].to");
    covers("DestinationRule", "trafficPolicy.outlierDetection");
    await apply(`{${OUTLIERS}, loadBalancer: {localityLbSetting: {failover: [{from: eu, to: asia}]}}}`);
    expect(new Set(await answers(8))).toEqual(new Set(["a"]));
    for (const backend of backends.slice(0, 2)) backend.behave(() => ({ status: 500 }));
    await eventually("both near ones are ejected", async () => (await answer()).backend === "d");
    expect(new Set(await answers(8))).toEqual(new Set(["d"]));
    for (const backend of backends) backend.behave(echo);
  });
});

describe("warmup", () => {
  const WINDOW_MS = 2_000;
  const WARMUPS = {
    slow: "{duration: 2s, minimumPercent: 1}",
    even: "{duration: 2s, minimumPercent: 100}",
    eager: "{duration: 2s, minimumPercent: 1, aggression: 20}",
  };
  const names = Object.keys(WARMUPS) as (keyof typeof WARMUPS)[];
  const hostOf = (name: string) => `${name}.default.svc.cluster.local`;
  const applyServices = (count: number) =>
    mesh.apply("warming.yaml", names.map((name) => shop(count, name)).join("---\n"));
  const rule = (name: keyof typeof WARMUPS) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec: {host: ${name}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: ${WARMUPS[name]}}}}
`;

  /** Of up to 60 requests, all sent until then, the share that the new endpoint gets. */
  async function shareOfNew(name: string, until = Number.POSITIVE_INFINITY): Promise<number> {
    const seen: string[] = [];
    while (seen.length < 60 && performance.now() < until) seen.push((await answer({ host: hostOf(name) })).backend);
    return (tally(seen).b ?? 0) / seen.length;
  }

  it("holds a new endpoint back for its duration, from the least share on, faster with aggression", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.warmup", "trafficPolicy.loadBalancer.warmup.duration");
    covers("DestinationRule", "trafficPolicy.loadBalancer.warmup.minimumPercent");
    covers("DestinationRule", "trafficPolicy.loadBalancer.warmup.aggression");
    await applyServices(1);
    await mesh.apply("warming-rules.yaml", names.map(rule).join("---\n"));
    for (const name of names) await answers(1, { host: hostOf(name) });
    // The old endpoint's own window ends.
    await sleep(WINDOW_MS + 100);
    const from = performance.now();
    await applyServices(2);
    expect(await shareOfNew("slow", from + WINDOW_MS * 0.75)).toBeLessThan(0.37);
    expect(await shareOfNew("even")).toBeGreaterThan(0.42);
    expect(await shareOfNew("eager")).toBeGreaterThan(0.37);
  });
});
