// Services as Kubernetes describes them: ports, protocols, endpoints, readiness and names, through a real sidecar.
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import { startDns } from "../../controlplane/cli/demo/dns.js";
import { loopbackAddress } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let a: Backend;
let b: Backend;
let outside: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  a = await startBackend(scope, "a", { host: await loopbackAddress(scope) });
  b = await startBackend(scope, "b", { host: await loopbackAddress(scope), port: a.port });
  outside = await startBackend(scope, "outside", { host: await loopbackAddress(scope), port: 9080 });
  const dns = scope.use(await startDns("127.0.0.1", { "ext.example.com": outside.host }));
  await mesh.apply("always.yaml", ALWAYS);
  sidecar = await mesh.startProxy({ name: "client", dnsResolver: dns.address });
});

/** Keeps the port served when the service that is tested is not seen. */
const ALWAYS = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: always}
spec: {hosts: [always.example.com], resolution: STATIC, ports: [{number: 9080, name: http, protocol: HTTP}]}
`;

async function apply(...documents: string[]): Promise<void> {
  await mesh.apply("shop.yaml", documents.join("---\n"));
  expect(await mesh.violations()).toEqual([]);
}

/** `spec` and `ports` are YAML flow. */
function service(spec: string, ports: string, annotations = "{}"): string {
  return `apiVersion: v1
kind: Service
metadata: {name: shop, annotations: ${annotations}}
spec: {${spec}, ports: [${ports}]}
`;
}

function pod(name: string, backend: Backend, ready = "True", port = backend.port): string {
  return `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: shop}}
spec: {containers: [{ports: [{name: web, containerPort: ${port}}]}]}
status: {podIPs: [{ip: ${backend.host}}], conditions: [{type: Ready, status: "${ready}"}]}
`;
}

function slice(port: number, endpoints: string): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop-1, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
ports: [{name: http, port: ${port}}]
endpoints: [${endpoints}]
`;
}

async function backends(count = 6, host = "shop"): Promise<string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const { status, body } = await ask(`http://${sidecar.address}:9080/`, { headers: { host } });
    seen.add(status === 200 ? JSON.parse(body).backend : `status ${status}`);
  }
  return [...seen].sort();
}

const SELECTOR = "selector: {app: shop}";
const port = (target: number | string, more = "") => `{name: http, port: 9080, targetPort: ${target}${more}}`;

describe("a Service without EndpointSlices", () => {
  it("has its ready pods, on the target port by number or by name", async () => {
    await apply(service(SELECTOR, port(a.port)), pod("a", a), pod("b", b), pod("no", outside, "False"));
    expect(await backends()).toEqual(["a", "b"]);
    await apply(service(SELECTOR, port("web")), pod("a", a), pod("b", b));
    expect(await backends()).toEqual(["a", "b"]);
    await apply(service("selector: {app: none}", port(a.port)), pod("a", a));
    expect(await backends(1)).toEqual(["status 503"]);
  });

  it("has pods that are not ready when it publishes them", async () => {
    const publishing = `${SELECTOR}, publishNotReadyAddresses: true`;
    await apply(service(publishing, port(a.port)), pod("a", a), pod("b", b, "False"));
    expect(await backends()).toEqual(["a", "b"]);
  });
});

describe("a Service with EndpointSlices", () => {
  const endpoints = () =>
    `{addresses: [${a.host}], conditions: {ready: true}}, {addresses: [${b.host}], conditions: {ready: false}}`;

  it("has their ready endpoints, and those that are not when it publishes them", async () => {
    await apply(service(SELECTOR, port(1)), slice(a.port, endpoints()));
    expect(await backends()).toEqual(["a"]);
    await apply(service(`${SELECTOR}, publishNotReadyAddresses: true`, port(1)), slice(a.port, endpoints()));
    expect(await backends()).toEqual(["a", "b"]);
    await apply(service(SELECTOR, port(1)), slice(a.port, `{addresses: [${a.host}]}`));
    expect(await backends()).toEqual(["a"]);
  });

  it("knows their labels by their pods, for subsets", async () => {
    const subset = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop, subsets: [{name: chosen, labels: {app: shop}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop], http: [{route: [{destination: {host: shop, subset: chosen}}]}]}
`;
    const refs = `{addresses: [${a.host}], targetRef: {kind: Pod, name: a}}, {addresses: [${b.host}]}`;
    await apply(service(SELECTOR, port(1)), slice(a.port, refs), pod("a", a), subset);
    expect(await backends()).toEqual(["a"]);
  });
});

describe("a Service", () => {
  it("is called by its names and its cluster address; a headless one by its pods' names as well", async () => {
    await apply(service(`${SELECTOR}, clusterIP: 10.255.8.1`, port(a.port)), pod("a", a));
    for (const host of ["shop", "shop.default", "shop.default.svc.cluster.local", "10.255.8.1"]) {
      expect(await backends(1, host), host).toEqual(["a"]);
    }
    expect(await backends(1, "shop-0.shop.default.svc.cluster.local")).toEqual(["status 502"]);
    await apply(service(`${SELECTOR}, clusterIP: None`, port(a.port)), pod("a", a));
    expect(await backends(1, "shop-0.shop.default.svc.cluster.local")).toEqual(["a"]);
  });

  it("of type ExternalName is what DNS says of that name", async () => {
    await apply(service("type: ExternalName, externalName: ext.example.com", "{name: http, port: 9080}"));
    expect(await backends(1)).toEqual(["outside"]);
  });

  it("is seen from the namespaces in its annotation", async () => {
    const exported = (to: string) => service(SELECTOR, port(a.port), `{networking.istio.io/exportTo: "${to}"}`);
    await apply(exported("elsewhere"), pod("a", a));
    expect(await backends(1)).toEqual(["status 502"]);
    await apply(exported("elsewhere,."), pod("a", a));
    expect(await backends(1)).toEqual(["a"]);
  });

  it("says by appProtocol, else by the port's name, what is spoken", async () => {
    const server = createHttp2Server((_, response) => response.end(JSON.stringify({ backend: "h2" })));
    server.listen(0, a.host);
    await once(server, "listening");
    scope.use({ close: () => void server.close() });
    const target = (server.address() as AddressInfo).port;
    const spoken = async (name: string, more = "") => {
      await apply(service(SELECTOR, `{name: ${name}, port: 9080, targetPort: ${target}${more}}`), pod("a", a, "True"));
      return (await backends(1))[0];
    };
    expect(await spoken("http2-web")).toBe("h2");
    expect(await spoken("grpc")).toBe("h2");
    expect(await spoken("http-web")).not.toBe("h2");
    expect(await spoken("http-web", ", appProtocol: kubernetes.io/h2c")).toBe("h2");
  });
});
