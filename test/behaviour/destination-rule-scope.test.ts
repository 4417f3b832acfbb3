// Which DestinationRule governs a client's traffic, and which of its policies a port and a subset get.
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let gold: TestProxy;
let iron: TestProxy;
const host = "shop.store.svc.cluster.local";

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const endpoints: string[] = [];
  for (const version of ["v1", "v2"]) {
    const { port } = await startBackend(scope, version);
    endpoints.push(`{address: 127.0.0.1, ports: {http: ${port}, other: ${port}}, labels: {version: ${version}}}`);
  }
  await mesh.apply(
    "shop.yaml",
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: store}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}, {number: 9081, name: other, protocol: HTTP}]
  endpoints: [${endpoints.join(", ")}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: store}
spec:
  hosts: [${host}]
  http:
  - match: [{headers: {subset: {exact: v1}}}]
    route: [{destination: {host: ${host}, subset: v1}}]
  - match: [{headers: {subset: {exact: v2}}}]
    route: [{destination: {host: ${host}, subset: v2}}]
  - route: [{destination: {host: ${host}}}]
`,
  );
  gold = await mesh.startProxy({ name: "gold", labels: { tier: "gold" } });
  iron = await mesh.startProxy({ name: "iron", labels: { tier: "iron" } });
});

interface Rule {
  readonly name: string;
  readonly namespace: string;
  /** YAML flow for the rest of the spec. */
  readonly spec: string;
  readonly host?: string;
}

async function apply(...rules: Rule[]): Promise<void> {
  const documents = rules.map(
    (rule) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${rule.name}, namespace: ${rule.namespace}}
spec: {host: "${rule.host ?? host}", ${rule.spec}}
`,
  );
  await mesh.apply("rules.yaml", documents.join("---\n"));
}

/** A policy that shows itself: all requests are too many. */
const CLOSED = "{connectionPool: {http: {http2MaxRequests: 0}}}";
const OPEN = "{connectionPool: {http: {http2MaxRequests: 1000}}}";

async function status(client: TestProxy, subset = "", port = 9080): Promise<number> {
  return (await ask(`http://${client.address}:${port}/`, { headers: { host, subset } })).status;
}

async function backends(client: TestProxy, subset: string): Promise<Set<string>> {
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => ask(`http://${client.address}:9080/`, { headers: { host, subset } })),
  );
  return new Set(answers.map(({ status: code, body }) => (code === 200 ? JSON.parse(body).backend : `status ${code}`)));
}

describe("a subset", () => {
  const subsets = (ofV2: string) =>
    `subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: ${ofV2}}]`;

  it("has the endpoints with its labels, and inherits what its own policy does not say", async () => {
    covers("DestinationRule", "subsets", "subsets[].name", "subsets[].labels", "subsets[].trafficPolicy");
    await apply({ name: "shop", namespace: "store", spec: subsets("{}") });
    expect([await backends(gold, "v1"), await backends(gold, "v2")]).toEqual([new Set(["v1"]), new Set(["v2"])]);
    await apply({ name: "shop", namespace: "store", spec: `trafficPolicy: ${CLOSED}, ${subsets("{}")}` });
    expect([await status(gold, "v1"), await status(gold, "v2")]).toEqual([503, 503]);
    await apply({ name: "shop", namespace: "store", spec: `trafficPolicy: ${CLOSED}, ${subsets(OPEN)}` });
    expect([await status(gold, "v1"), await status(gold, "v2")]).toEqual([503, 200]);
    const random = "{loadBalancer: {simple: RANDOM}}";
    await apply({ name: "shop", namespace: "store", spec: `trafficPolicy: ${CLOSED}, ${subsets(random)}` });
    expect(await status(gold, "v2")).toBe(503);
  });
});

describe("port level settings", () => {
  it("replace the general ones for their port, as a whole", async () => {
    covers("DestinationRule", "trafficPolicy.portLevelSettings", "trafficPolicy.portLevelSettings[].port");
    covers("DestinationRule", "trafficPolicy.portLevelSettings[].port.number");
    const port = (settings: string) => `portLevelSettings: [{port: {number: 9081}, ${settings}}]`;
    const closed = "connectionPool: {http: {http2MaxRequests: 0}}";
    await apply({ name: "shop", namespace: "store", spec: `trafficPolicy: {${port(closed)}}` });
    expect([await status(gold), await status(gold, "", 9081)]).toEqual([200, 503]);
    const other = port("loadBalancer: {simple: RANDOM}");
    await apply({ name: "shop", namespace: "store", spec: `trafficPolicy: {${closed}, ${other}}` });
    expect([await status(gold), await status(gold, "", 9081)]).toEqual([503, 200]);
  });
});

describe("a DestinationRule", () => {
  const policy = (settings: string) => `trafficPolicy: ${settings}`;

  it("of the client's namespace goes before the service's, that before the root namespace's", async () => {
    covers("DestinationRule", "host", "trafficPolicy");
    const root = { name: "root", namespace: "istio-system" };
    const store = { name: "store", namespace: "store" };
    await apply({ ...root, spec: policy(CLOSED) });
    expect(await status(gold)).toBe(503);
    await apply({ ...root, spec: policy(CLOSED) }, { ...store, spec: policy(OPEN) });
    expect(await status(gold)).toBe(200);
    const own = { name: "own", namespace: "default", spec: policy(CLOSED) };
    await apply({ ...root, spec: policy(OPEN) }, { ...store, spec: policy(OPEN) }, own);
    expect(await status(gold)).toBe(503);
    await apply({ name: "elsewhere", namespace: "elsewhere", spec: policy(CLOSED) });
    expect(await status(gold)).toBe(200);
  });

  it("for the exact host goes before one for a wildcard, and a longer wildcard before a shorter", async () => {
    covers("DestinationRule", "host");
    const rule = (name: string, ofHost: string, settings: string) => ({
      name,
      namespace: "store",
      host: ofHost,
      spec: policy(settings),
    });
    await apply(rule("all", "*.svc.cluster.local", CLOSED));
    expect(await status(gold)).toBe(503);
    await apply(rule("all", "*.svc.cluster.local", CLOSED), rule("store", "*.store.svc.cluster.local", OPEN));
    expect(await status(gold)).toBe(200);
    await apply(rule("store", "*.store.svc.cluster.local", OPEN), rule("shop", "shop", CLOSED));
    expect(await status(gold)).toBe(503);
  });

  it("holds in the namespaces that it is exported to", async () => {
    covers("DestinationRule", "exportTo");
    for (const [exportTo, expected] of [
      ['"."', 200],
      ['"*"', 503],
      ["default", 503],
      ["other", 200],
    ] as const) {
      await apply({ name: "store", namespace: "store", spec: `exportTo: [${exportTo}], ${policy(CLOSED)}` });
      expect(await status(gold), exportTo).toBe(expected);
    }
  });

  it("with a workloadSelector holds for these clients of its own namespace", async () => {
    covers("DestinationRule", "workloadSelector", "workloadSelector.matchLabels");
    const selector = `workloadSelector: {matchLabels: {tier: gold}}, ${policy(CLOSED)}`;
    await apply({ name: "own", namespace: "default", spec: selector });
    expect([await status(gold), await status(iron)]).toEqual([503, 200]);
    await apply({ name: "store", namespace: "store", spec: selector });
    expect([await status(gold), await status(iron)]).toEqual([200, 200]);
  });
});
