// Certificates in files of a proxy's machine that are replaced: new connections have the new ones, old ones go on.
import { once } from "node:events";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { beforeAll, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { type Authority, createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { startTestMesh, type TestMesh } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend } from "../harness/tcp-backend.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const PORT = 8443;
const host = "secure.example.com";
let mesh: TestMesh;
let before: Authority;
let after: Authority;
let secure: Backend;

beforeAll(async () => {
  [before, after] = [await createAuthority("before"), await createAuthority("after")];
  const raw = await startTcpBackend(scope, "raw");
  secure = await startBackend(scope, "secure", {
    tls: await after.issue([host]),
    clientAuthority: after.certificate,
  });
  mesh = await startTestMesh(scope);
  await mesh.apply("services.yaml", [service("raw", "TCP", raw.port), service("secure", "HTTP", secure.port)].join(""));
});

function service(name: string, protocol: string, port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: main, protocol: ${protocol}, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
---
`;
}

/** A certificate, its key and its authority's certificate, into a directory that is made for them. */
async function writeFiles(directory: string, authority: Authority, name: string): Promise<void> {
  const { certificate, privateKey } = await authority.issue([name]);
  await mkdir(directory);
  await writeFile(join(directory, "tls.crt"), certificate);
  await writeFile(join(directory, "tls.key"), privateKey, { mode: 0o600 });
  await writeFile(join(directory, "ca.crt"), authority.certificate);
}

it("a gateway's own certificate and its clients' authority follow a directory that Kubernetes swaps", async () => {
  const mount = await scope.directory();
  await writeFiles(join(mount, "..1"), before, "raw.example.com");
  await symlink("..1", join(mount, "..data"));
  for (const name of ["tls.crt", "tls.key", "ca.crt"]) await symlink(join("..data", name), join(mount, name));
  await mesh.apply(
    "gateway.yaml",
    `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {app: gw}
  servers:
  - port: {number: ${PORT}, name: main, protocol: TLS}
    hosts: ["*"]
    tls:
      mode: MUTUAL
      serverCertificate: ${mount}/tls.crt
      privateKey: ${mount}/tls.key
      caCertificates: ${mount}/ca.crt
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: raw}
spec: {hosts: [raw.example.com], gateways: [gw], tcp: [{route: [{destination: {host: raw.example.com}}]}]}
`,
  );
  const { address } = await mesh.startProxy({ name: "gw", role: "router", labels: { app: "gw" } });
  const open = async (authority: Authority): Promise<TLSSocket> => {
    const { certificate: cert, privateKey: key } = await authority.issue(["client"]);
    const ca = authority.certificate;
    const socket = connect({ host: address, port: PORT, ca, servername: "raw.example.com", cert, key });
    const [greeting] = await once(socket, "data");
    expect(String(greeting)).toBe("raw\n");
    return socket;
  };
  const old = await open(before);
  await expect(open(after)).rejects.toThrow();

  await writeFiles(join(mount, "..2"), after, "raw.example.com");
  await symlink("..2", join(mount, "..next"));
  await rename(join(mount, "..next"), join(mount, "..data"));

  const fresh = await eventually("the new certificate is served", () => open(after));
  await expect(open(before)).rejects.toThrow();
  old.write("still here");
  expect(String((await once(old, "data"))[0])).toBe("still here");
  for (const socket of [old, fresh]) socket.destroy();
});

it("a client's certificate and its servers' authority follow files that are renamed into place", async () => {
  const directory = await scope.directory();
  const [now, next] = [join(directory, "now"), join(directory, "next")];
  await writeFiles(now, before, "client.example.com");
  await mesh.apply(
    "rule.yaml",
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: secure}
spec:
  host: ${host}
  trafficPolicy:
    tls:
      mode: MUTUAL
      clientCertificate: ${now}/tls.crt
      privateKey: ${now}/tls.key
      caCertificates: ${now}/ca.crt
`,
  );
  const { address } = await mesh.startProxy({ name: "client" });
  const call = async () => (await ask(`http://${address}:9000/`, { headers: { host } })).status;
  expect(await call()).toBe(503);

  await writeFiles(next, after, "client.example.com");
  for (const name of ["ca.crt", "tls.key", "tls.crt"]) await rename(join(next, name), join(now, name));

  await eventually("the server takes the new certificate, and has one of the new authority", async () => {
    return (await call()) === 200;
  });
});
