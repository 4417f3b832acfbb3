// What a sidecar reaches: services outside the mesh, by TLS server name, and what its Sidecar resource imports.
import { once } from "node:events";
import { connect } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { startDns } from "../../controlplane/cli/demo/dns.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { type Authority, createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend, type TcpBackend } from "../harness/tcp-backend.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let outside: TcpBackend;
let authority: Authority;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  authority = await createAuthority("outside");
  const address = await loopbackAddress(scope);
  const tls = await authority.issue(["ext-svc.example.com"]);
  outside = await startTcpBackend(scope, "outside", { host: address, tls });
  const dns = scope.use(await startDns("127.0.0.1", { "ext-svc.example.com": address }));
  await mesh.apply("outside.yaml", externalService(outside.port));
  sidecar = await mesh.startProxy({ name: "client", namespace: "bookinfo", dnsResolver: dns.address });
});

function externalService(targetPort: number): string {
  return `apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: svc-entry}
spec:
  hosts: [ext-svc.example.com]
  ports: [{number: 443, name: https, protocol: HTTPS, targetPort: ${targetPort}}]
  location: MESH_EXTERNAL
  resolution: DNS
`;
}

/** What the server outside says first, over TLS that the client verifies end to end. */
async function greeting(servername: string): Promise<string> {
  const socket = connect({ host: sidecar.address, port: 10443, servername, ca: authority.certificate });
  try {
    await once(socket, "secureConnect");
    const [data] = await once(socket, "data");
    return String(data);
  } finally {
    socket.destroy();
  }
}

describe("a service outside the mesh", () => {
  it("is reached by its server name, resolved by DNS, with its own certificate", async () => {
    covers("ServiceEntry", "hosts", "ports[].targetPort", "location", "resolution");
    expect(await greeting("ext-svc.example.com")).toBe("outside\n");
    expect(outside.serverNames).toEqual(["ext-svc.example.com"]);
  });

  it("does not open the way to others", async () => {
    await expect(greeting("other.example.com")).rejects.toThrow();
    expect(outside.connections.total).toBe(1);
  });
});

describe("a Sidecar resource", () => {
  async function statusOf(host: string): Promise<number> {
    return (await ask(`http://${sidecar.address}:9080/`, { headers: { host } })).status;
  }

  beforeAll(async () => {
    const { port } = await startBackend(scope, "any");
    const entries = ["bookinfo", "istio-system", "other"].map(
      (namespace) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc, namespace: ${namespace}}
spec:
  hosts: [svc.${namespace}.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
`,
    );
    await mesh.apply("services.yaml", entries.join("---\n"));
  });

  it("limits the namespace's sidecars to what it imports", async () => {
    covers("Sidecar", "egress[].hosts");
    const hosts = ["bookinfo", "istio-system", "other"].map((namespace) => `svc.${namespace}.svc.cluster.local`);
    expect(await Promise.all(hosts.map(statusOf))).toEqual([200, 200, 200]);
    await mesh.apply(
      "sidecar.yaml",
      `apiVersion: networking.istio.io/v1alpha3
kind: Sidecar
metadata: {name: default, namespace: bookinfo}
spec:
  egress:
  - hosts: ["./*", "istio-system/*"]
`,
    );
    expect(await Promise.all(hosts.map(statusOf))).toEqual([200, 200, 502]);
    // What nothing refers to any more is removed last, a moment later.
    const other = "svc.other.svc.cluster.local";
    await eventually("its cluster goes", async () => !(await sidecar.get("/clusters")).body.includes(other));
    await mesh.remove("sidecar.yaml");
    expect(await Promise.all(hosts.map(statusOf))).toEqual([200, 200, 200]);
  });

  it("of the namespace gives way to one that selects the workload", async () => {
    covers("Sidecar", "workloadSelector.labels");
    const own = (name: string, selector: string, hosts: string) => `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ${name}, namespace: bookinfo}
spec:
  ${selector}
  egress:
  - hosts: [${hosts}]
`;
    const selecting = own("b", "workloadSelector: {labels: {app: nobody}}", '"other/*"');
    await mesh.apply("sidecar.yaml", `${own("a", "", '"./*"')}---\n${selecting}`);
    expect(await statusOf("svc.other.svc.cluster.local")).toBe(502);
    expect(await statusOf("svc.bookinfo.svc.cluster.local")).toBe(200);
  });
});
