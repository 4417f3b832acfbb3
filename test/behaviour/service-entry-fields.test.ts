// ServiceEntries and WorkloadEntries: hosts, ports, resolution, endpoints and who sees them, through real sidecars.

import { once } from "node:events";
import { connect } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import { startDns } from "../../controlplane/cli/demo/dns.js";
import { loopbackAddress } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend } from "../harness/tcp-backend.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let other: TestProxy;
let a: Backend;
let b: Backend;
let named: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  a = await startBackend(scope, "a");
  b = await startBackend(scope, "b");
  named = await startBackend(scope, "named", { host: await loopbackAddress(scope) });
  const dns = scope.use(await startDns("127.0.0.1", { "ext.example.com": named.host, "node.example.com": named.host }));
  await mesh.apply("always.yaml", ALWAYS);
  const locality = { region: "eu", zone: "north" };
  sidecar = await mesh.startProxy({ name: "client", dnsResolver: dns.address, locality });
  other = await mesh.startProxy({ name: "other", namespace: "elsewhere", dnsResolver: dns.address });
});

/** Keeps the port served when the service that is tested is not seen. */
const ALWAYS = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: always}
spec: {hosts: [always.example.com], resolution: STATIC, ports: [{number: 9080, name: http, protocol: HTTP}]}
`;

/** `spec` is YAML flow; more documents may follow. */
async function apply(spec: string, ...documents: string[]): Promise<void> {
  const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: entry}
spec: ${spec}
`;
  await mesh.apply("entry.yaml", [entry, ...documents].join("---\n"));
  expect((await mesh.violations()).filter(({ severity }) => severity === "error")).toEqual([]);
}

async function backendOf(host: string, port = 9080, client = sidecar): Promise<string> {
  const { status, body } = await ask(`http://${client.address}:${port}/`, { headers: { host } });
  return status === 200 ? JSON.parse(body).backend : `status ${status}`;
}

async function tally(host: string, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const name = await backendOf(host);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const PORTS = "ports: [{number: 9080, name: http, protocol: HTTP}]";

describe("a ServiceEntry", () => {
  it("makes each of its hosts known on each of its ports, read as the protocol says", async () => {
    covers(
      "ServiceEntry",
      "hosts",
      "ports",
      "ports[].number",
      "ports[].name",
      "ports[].protocol",
      "ports[].targetPort",
    );
    covers("ServiceEntry", "location", "endpoints", "endpoints[].address", "endpoints[].ports");
    const tcp = await startTcpBackend(scope, "tcp");
    const ports = `ports:
  - {number: 9080, name: http, protocol: HTTP, targetPort: ${a.port}}
  - {number: 9081, name: other, protocol: HTTP}
`;
    await apply(`
  hosts: [one.example.com, two.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {other: ${b.port}}}]
  ${ports}`);
    for (const host of ["one.example.com", "two.example.com"]) {
      expect([await backendOf(host), await backendOf(host, 9081)]).toEqual(["a", "b"]);
    }
    expect(await backendOf("three.example.com")).toBe("status 502");
    const plain = `{number: 9300, name: tcp, protocol: TCP, targetPort: ${tcp.port}}`;
    await apply(`{hosts: [tcp.example.com], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [${plain}]}`);
    const socket = connect(9300, sidecar.address);
    expect(String((await once(socket, "data"))[0])).toBe("tcp\n");
    socket.destroy();
  });

  it("takes a wildcard for all hosts of a domain", async () => {
    covers("ServiceEntry", "hosts");
    await apply(
      `{hosts: ["*.wild.example.com"], resolution: STATIC, ${PORTS}, endpoints: [{address: 127.0.0.1, ports: {http: ${a.port}}}]}`,
    );
    expect([await backendOf("x.wild.example.com"), await backendOf("x.y.wild.example.com")]).toEqual(["a", "a"]);
    expect(await backendOf("wild.example.com")).toBe("status 502");
  });

  it("is called by its addresses, too", async () => {
    covers("ServiceEntry", "addresses");
    await apply(
      `{hosts: [vip.example.com], addresses: [240.7.7.7], resolution: STATIC, ${PORTS}, endpoints: [{address: 127.0.0.1, ports: {http: ${a.port}}}]}`,
    );
    expect([await backendOf("vip.example.com"), await backendOf("240.7.7.7:9080")]).toEqual(["a", "a"]);
    expect(await backendOf("240.7.7.8:9080")).toBe("status 502");
  });

  it("with resolution DNS looks its host up, or the names of its endpoints", async () => {
    covers("ServiceEntry", "resolution");
    const ports = `ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${named.port}}]`;
    for (const resolution of ["DNS", "DNS_ROUND_ROBIN"]) {
      await apply(`{hosts: [ext.example.com], resolution: ${resolution}, ${ports}}`);
      expect(await backendOf("ext.example.com"), resolution).toBe("named");
      const endpoints = `endpoints: [{address: node.example.com, ports: {http: ${named.port}}}]`;
      await apply(`{hosts: [svc.example.com], resolution: ${resolution}, ${PORTS}, ${endpoints}}`);
      expect(await backendOf("svc.example.com"), resolution).toBe("named");
    }
    const { body } = await sidecar.get("/config_dump?resource=dynamic_active_clusters&name_regex=.*svc.example.*");
    expect(body).toContain('"type": "LOGICAL_DNS"');
  });

  it("with resolution NONE needs to know where the client was going, which only captured traffic tells", async () => {
    covers("ServiceEntry", "resolution");
    await apply(`{hosts: [none.example.com], resolution: NONE, ${PORTS}}`);
    expect(await backendOf("none.example.com")).toBe("status 503");
  });

  it("is seen from the namespaces that it is exported to", async () => {
    covers("ServiceEntry", "exportTo");
    const seen = async (exportTo: string) => {
      const endpoints = `endpoints: [{address: 127.0.0.1, ports: {http: ${a.port}}}]`;
      await apply(`{hosts: [svc.example.com], exportTo: [${exportTo}], resolution: STATIC, ${PORTS}, ${endpoints}}`);
      return [await backendOf("svc.example.com"), await backendOf("svc.example.com", 9080, other)];
    };
    expect(await seen('"."')).toEqual(["a", "status 502"]);
    expect(await seen('"*"')).toEqual(["a", "a"]);
    expect(await seen("elsewhere")).toEqual(["status 502", "a"]);
  });
});

describe("endpoints", () => {
  const endpoints = (ofA: string, ofB: string) =>
    `endpoints: [{address: 127.0.0.1, ports: {http: ${a.port}}, ${ofA}}, {address: 127.0.0.1, ports: {http: ${b.port}}, ${ofB}}]`;
  const rule = (spec: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: entry}
spec: {host: svc.example.com, ${spec}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec: {hosts: [svc.example.com], http: [{route: [{destination: {host: svc.example.com, subset: chosen}}]}]}
`;
  const service = (list: string) => `{hosts: [svc.example.com], resolution: STATIC, ${PORTS}, ${list}}`;

  it("get traffic by their weight", async () => {
    covers("ServiceEntry", "endpoints[].weight");
    await apply(service(endpoints("weight: 1", "weight: 9")));
    expect(await tally("svc.example.com", 40)).toEqual({ a: 4, b: 36 });
  });

  it("are chosen by their labels, their network's among them", async () => {
    covers("ServiceEntry", "endpoints[].labels", "endpoints[].network");
    const chosen = (labels: string) => rule(`subsets: [{name: chosen, labels: {${labels}}}]`);
    const list = endpoints("labels: {version: v1}, network: one", "labels: {version: v2}, network: two");
    await apply(service(list), chosen("version: v2"));
    expect(await tally("svc.example.com", 4)).toEqual({ b: 4 });
    await apply(service(list), chosen("topology.istio.io/network: one"));
    expect(await tally("svc.example.com", 4)).toEqual({ a: 4 });
  });

  it("are preferred by their locality", async () => {
    covers("ServiceEntry", "endpoints[].locality");
    const outliers = "trafficPolicy: {outlierDetection: {}}, subsets: [{name: chosen, labels: {}}]";
    await apply(service(endpoints("locality: us/east", "locality: eu/north")), rule(outliers));
    expect(await tally("svc.example.com", 6)).toEqual({ b: 6 });
  });
});

describe("a workloadSelector", () => {
  const service = `{hosts: [svc.example.com], resolution: STATIC, workloadSelector: {labels: {app: shop}}, ${PORTS}}`;
  const entry = (name: string, spec: string) => `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}}
spec: ${spec}
`;

  it("selects WorkloadEntries by labels, with their address, ports and weight", async () => {
    covers("ServiceEntry", "workloadSelector", "workloadSelector.labels");
    covers("WorkloadEntry", "address", "ports", "labels", "weight");
    await apply(
      service,
      entry("a", `{address: 127.0.0.1, ports: {http: ${a.port}}, labels: {app: shop}, weight: 3}`),
      entry("b", `{address: 127.0.0.1, ports: {http: ${b.port}}, labels: {app: shop}, weight: 1}`),
      entry("c", `{address: ${named.host}, ports: {http: ${named.port}}, labels: {app: else}}`),
    );
    expect(await tally("svc.example.com", 16)).toEqual({ a: 12, b: 4 });
  });

  it("selects them with locality and network", async () => {
    covers("WorkloadEntry", "locality", "network");
    const policy = (spec: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: entry}
spec: {host: svc.example.com, ${spec}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec: {hosts: [svc.example.com], http: [{route: [{destination: {host: svc.example.com, subset: chosen}}]}]}
`;
    const entries = [
      entry(
        "a",
        `{address: 127.0.0.1, ports: {http: ${a.port}}, labels: {app: shop}, locality: us/east, network: one}`,
      ),
      entry(
        "b",
        `{address: 127.0.0.1, ports: {http: ${b.port}}, labels: {app: shop}, locality: eu/north, network: two}`,
      ),
    ];
    const near = "trafficPolicy: {outlierDetection: {}}, subsets: [{name: chosen, labels: {}}]";
    await apply(service, ...entries, policy(near));
    expect(await tally("svc.example.com", 6)).toEqual({ b: 6 });
    await apply(service, ...entries, policy("subsets: [{name: chosen, labels: {topology.istio.io/network: one}}]"));
    expect(await tally("svc.example.com", 6)).toEqual({ a: 6 });
  });

  it("selects ready pods", async () => {
    covers("ServiceEntry", "workloadSelector");
    const pod = (name: string, backend: Backend, ready: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: shop}}
spec: {containers: [{ports: [{name: http, containerPort: ${backend.port}}]}]}
status: {podIPs: [{ip: ${backend.host}}], conditions: [{type: Ready, status: "${ready}"}]}
`;
    await apply(service, pod("named", named, "True"), pod("a", a, "False"));
    expect(await tally("svc.example.com", 4)).toEqual({ named: 4 });
  });
});
