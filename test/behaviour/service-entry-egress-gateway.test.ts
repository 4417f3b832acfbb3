// An egress gateway that all outside traffic of chosen services takes, with TLS from there on, beside REGISTRY_ONLY.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let gateway: TestProxy;
let outside: Backend;

beforeAll(async () => {
  const authority = await createAuthority("outside");
  const file = join(await scope.directory(), "authority.pem");
  await writeFile(file, authority.certificate);
  outside = await startBackend(scope, "outside", { tls: await authority.issue(["ext.example.com"]) });
  mesh = await startTestMesh(scope);
  gateway = await mesh.startProxy({ name: "egress", role: "router", labels: { app: "egress" } });
  await mesh.apply("egress.yaml", egress(file));
  sidecar = await mesh.startProxy({ name: "client" });
});

/** Sidecars send ext.example.com to the gateway, which alone goes outside, by TLS. */
function egress(authority: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext}
spec:
  hosts: [ext.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 8000, name: http, protocol: HTTP}, {number: 8443, name: https, protocol: HTTPS}]
  endpoints: [{address: 127.0.0.1, ports: {https: ${outside.port}, http: 1}}]
---
apiVersion: v1
kind: Service
metadata: {name: egress}
spec: {selector: {app: egress}, ports: [{name: http, port: 8000, targetPort: 8000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: egress, labels: {app: egress}}
status: {podIPs: [{ip: ${gateway.address}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress}
spec:
  selector: {app: egress}
  servers: [{port: {number: 8000, name: http, protocol: HTTP}, hosts: [ext.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ext}
spec:
  hosts: [ext.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh], port: 8000}]
    route: [{destination: {host: egress, port: {number: 8000}}}]
  - match: [{gateways: [egress], port: 8000}]
    route: [{destination: {host: ext.example.com, port: {number: 8443}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ext}
spec:
  host: ext.example.com
  trafficPolicy:
    portLevelSettings: [{port: {number: 8443}, tls: {mode: SIMPLE, caCertificates: ${authority}}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
`;
}

async function get(host: string) {
  return ask(`http://${sidecar.address}:8000/path`, { headers: { host } });
}

describe("an egress gateway", () => {
  it("is the way that all requests to a service outside take, and speaks TLS to it", async () => {
    covers("ServiceEntry", "location");
    const { status, body } = await get("ext.example.com");
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ backend: "outside", path: "/path", serverName: "ext.example.com" });
    const cluster = "cluster.outbound|8443||ext.example.com.upstream_rq_total";
    expect([await gateway.stat(cluster), await sidecar.stat(cluster)]).toEqual([1, 0]);
    expect(await sidecar.stat("cluster.outbound|8000||egress.default.svc.cluster.local.upstream_rq_total")).toBe(1);
  });

  it("leaves no other way out beside REGISTRY_ONLY", async () => {
    covers("Sidecar", "outboundTrafficPolicy.mode");
    expect((await get("other.example.com")).status).toBe(502);
    expect((await ask(`http://${gateway.address}:8000/`, { headers: { host: "other.example.com" } })).status).toBe(404);
    expect(outside.requests.length).toBe(1);
  });
});
