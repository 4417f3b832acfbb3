// TLS from a sidecar or an egress gateway to its destinations, as DestinationRules ask for it, with real certificates.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { type Authority, certificateFiles, createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let simple: Backend;
let mutual: Backend;
let authority: Authority;
let other: Authority;
let files: Record<"authority" | "other" | "chain" | "key", string>;
const host = "secure.default.svc.cluster.local";

beforeAll(async () => {
  authority = await createAuthority("right");
  other = await createAuthority("wrong");
  const server = await authority.issue([host, "alias.example.com", "spiffe://cluster.local/ns/default/sa/secure"]);
  simple = await startBackend(scope, "simple", { tls: server });
  mutual = await startBackend(scope, "mutual", { tls: server, clientAuthority: authority.certificate });
  const directory = await scope.directory();
  const own = await certificateFiles(scope, await authority.issue(["client.example.com"]));
  files = {
    authority: join(directory, "authority.pem"),
    other: join(directory, "other.pem"),
    chain: own.certificate,
    key: own.privateKey,
  };
  await writeFile(files.authority, authority.certificate);
  await writeFile(files.other, other.certificate);
  mesh = await startTestMesh(scope);
  await applyService();
  const metadata = {
    TLS_CLIENT_CERT_CHAIN: own.certificate,
    TLS_CLIENT_KEY: own.privateKey,
    TLS_CLIENT_ROOT_CERT: files.authority,
  };
  sidecar = await mesh.startProxy({ name: "client", metadata });
});

/** Port 9080 leads to a server that asks for no certificate, 9081 to one that does; `more` is YAML flow. */
async function applyService(more = "subjectAltNames: []", endpoint = ""): Promise<void> {
  await mesh.apply(
    "secure.yaml",
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secure}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 9080, name: http, protocol: HTTP, targetPort: ${simple.port}}
  - {number: 9081, name: mutual, protocol: HTTP, targetPort: ${mutual.port}}
  endpoints: [{address: 127.0.0.1${endpoint}}]
  ${more}
`,
  );
}

/** `tls` is YAML flow for the rule's tls. Each request has a connection, and so a handshake, of its own. */
async function apply(tls: string): Promise<void> {
  await mesh.apply(
    "rule.yaml",
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: secure}
spec: {host: ${host}, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}, tls: ${tls}}}
`,
  );
  expect((await mesh.violations()).filter(({ severity }) => severity === "error")).toEqual([]);
}

async function call(port = 9080): Promise<{ status: number; serverName?: string }> {
  const { status, body } = await ask(`http://${sidecar.address}:${port}/`, { headers: { host } });
  return status === 200 ? { status, serverName: JSON.parse(body).serverName } : { status };
}

function secret(name: string, entries: Readonly<Record<string, string>>, type = "Opaque"): string {
  const data = Object.entries(entries).map(([key, text]) => `${key}: ${Buffer.from(text).toString("base64")}`);
  return `apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: ${type}
data: {${data.join(", ")}}
`;
}

describe("TLS to a destination", () => {
  it("SIMPLE verifies the server by caCertificates and its name; DISABLE speaks in the clear", async () => {
    covers("DestinationRule", "trafficPolicy.tls", "trafficPolicy.tls.mode", "trafficPolicy.tls.caCertificates");
    await apply(`{mode: SIMPLE, caCertificates: ${files.authority}}`);
    expect(await call()).toEqual({ status: 200, serverName: host });
    await apply(`{mode: SIMPLE, caCertificates: ${files.other}}`);
    expect((await call()).status).toBe(503);
    // The system's authorities know nothing of the test's.
    await apply("{mode: SIMPLE}");
    expect((await call()).status).toBe(503);
    await apply("{mode: DISABLE}");
    expect((await call()).status).not.toBe(200);
  });

  it("asks for the name in sni", async () => {
    covers("DestinationRule", "trafficPolicy.tls.sni");
    await apply(`{mode: SIMPLE, caCertificates: ${files.authority}, sni: alias.example.com}`);
    expect(await call()).toEqual({ status: 200, serverName: "alias.example.com" });
    await apply(`{mode: SIMPLE, caCertificates: ${files.authority}, sni: stranger.example.com}`);
    expect((await call()).status).toBe(503);
  });

  it("takes a certificate with one of subjectAltNames alone: the rule's, else the ServiceEntry's", async () => {
    covers("DestinationRule", "trafficPolicy.tls.subjectAltNames");
    covers("ServiceEntry", "subjectAltNames");
    const names = (list: string) => `{mode: SIMPLE, caCertificates: ${files.authority}, subjectAltNames: [${list}]}`;
    await apply(names("alias.example.com, nobody.example.com"));
    expect((await call()).status).toBe(200);
    await apply(names("nobody.example.com"));
    expect((await call()).status).toBe(503);
    await apply(`{mode: SIMPLE, caCertificates: ${files.authority}}`);
    await applyService("subjectAltNames: [nobody.example.com]");
    expect((await call()).status).toBe(503);
    await applyService('subjectAltNames: ["spiffe://cluster.local/ns/default/sa/secure"]');
    expect((await call()).status).toBe(200);
    await applyService();
  });

  it("verifies nothing with insecureSkipVerify", async () => {
    covers("DestinationRule", "trafficPolicy.tls.insecureSkipVerify");
    await apply(`{mode: SIMPLE, caCertificates: ${files.other}, insecureSkipVerify: true}`);
    expect((await call()).status).toBe(200);
    await apply(`{mode: SIMPLE, caCertificates: ${files.other}, insecureSkipVerify: false}`);
    expect((await call()).status).toBe(503);
  });

  it("MUTUAL presents the client's certificate from files", async () => {
    covers("DestinationRule", "trafficPolicy.tls.clientCertificate", "trafficPolicy.tls.privateKey");
    await apply(`{mode: SIMPLE, caCertificates: ${files.authority}}`);
    expect((await call(9081)).status).toBe(503);
    const own = `clientCertificate: ${files.chain}, privateKey: ${files.key}`;
    await apply(`{mode: MUTUAL, caCertificates: ${files.authority}, ${own}}`);
    expect((await call(9081)).status).toBe(200);
  });

  it("takes certificates, keys and authorities from the secret in credentialName, in either form", async () => {
    covers("DestinationRule", "trafficPolicy.tls.credentialName");
    const { certificate, privateKey } = await authority.issue(["client.example.com"]);
    const ca = authority.certificate;
    await apply("{mode: MUTUAL, credentialName: client}");
    // What has nothing to connect with is removed, a moment after the rest.
    await eventually("it is refused", async () => (await call(9081)).status === 503);
    const kubernetes = { "tls.crt": certificate, "tls.key": privateKey, "ca.crt": ca };
    await mesh.apply("secret.yaml", secret("client", kubernetes, "kubernetes.io/tls"));
    expect((await call(9081)).status).toBe(200);
    await mesh.apply("secret.yaml", secret("client", { cert: certificate, key: privateKey, cacert: ca }));
    expect((await call(9081)).status).toBe(200);
    await mesh.apply(
      "secret.yaml",
      secret("client", { cert: certificate, key: privateKey, cacert: other.certificate }),
    );
    expect((await call(9081)).status).toBe(503);
    await mesh.apply("secret.yaml", secret("client", { cacert: ca }));
    await apply("{mode: SIMPLE, credentialName: client}");
    expect((await call()).status).toBe(200);
    await mesh.remove("secret.yaml");
  });

  it("ISTIO_MUTUAL presents the workload's own certificate, and verifies the server's account", async () => {
    covers("DestinationRule", "trafficPolicy.tls.mode");
    covers("ServiceEntry", "endpoints[].serviceAccount");
    covers("WorkloadEntry", "serviceAccount");
    await apply("{mode: ISTIO_MUTUAL}");
    expect((await call(9081)).status).toBe(200);
    await applyService(undefined, ", serviceAccount: secure");
    expect((await call(9081)).status).toBe(200);
    await applyService(undefined, ", serviceAccount: somebody");
    expect((await call(9081)).status).toBe(503);
    await applyService();
  });

  it("refuses a server whose certificate caCrl revokes", async () => {
    covers("DestinationRule", "trafficPolicy.tls.caCrl");
    const made = await revocableServer();
    const backend = await startBackend(scope, "revocable", { tls: made.server });
    await mesh.apply(
      "revocable.yaml",
      `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: revocable}
spec:
  hosts: [revocable.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${backend.port}}]
  endpoints: [{address: 127.0.0.1}]
`,
    );
    for (const [list, status] of [
      [made.empty, 200],
      [made.revoking, 503],
    ] as const) {
      await mesh.apply(
        "revocable-rule.yaml",
        `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: revocable}
spec:
  host: revocable.example.com
  trafficPolicy: {tls: {mode: SIMPLE, caCertificates: ${made.authority}, caCrl: ${list}}}
`,
      );
      const answer = await ask(`http://${sidecar.address}:9080/`, { headers: { host: "revocable.example.com" } });
      expect(answer.status).toBe(status);
    }
  });

  /** By openssl, because only the authority itself can sign lists of what it revokes. */
  async function revocableServer() {
    const directory = await scope.directory();
    const at = (name: string) => join(directory, name);
    const openssl = (...args: string[]) => promisify(execFile)("openssl", args, { cwd: directory });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    await openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=revoking");
    await openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=revocable.example.com");
    await writeFile(at("san"), "subjectAltName=DNS:revocable.example.com\n");
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-out", "server.pem"];
    await openssl("x509", "-req", "-in", "server.csr", ...signed);
    const config = "[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=30\n";
    await writeFile(at("ca.cnf"), config);
    await writeFile(at("index"), "");
    const ca = ["ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
    await openssl(...ca, "-gencrl", "-out", "empty.crl");
    await openssl(...ca, "-revoke", "server.pem");
    await openssl(...ca, "-gencrl", "-out", "revoking.crl");
    const server = {
      certificate: await readFile(at("server.pem"), "utf8"),
      privateKey: await readFile(at("server.key"), "utf8"),
    };
    return { server, authority: at("ca.pem"), empty: at("empty.crl"), revoking: at("revoking.crl") };
  }
});

describe("a wildcard host", () => {
  it("asks for, and verifies, the name that each request is for", async () => {
    const backend = await startBackend(scope, "wild", { tls: await authority.issue(["a.wild.example.com"]) });
    await mesh.apply(
      "wild.yaml",
      `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ["*.wild.example.com"]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${backend.port}}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: wild}
spec: {host: "*.wild.example.com", trafficPolicy: {tls: {mode: SIMPLE, caCertificates: ${files.authority}}}}
`,
    );
    const status = async (name: string) =>
      (await ask(`http://${sidecar.address}:9080/`, { headers: { host: name } })).status;
    expect(await status("a.wild.example.com")).toBe(200);
    expect(backend.requests.at(-1)?.serverName).toBe("a.wild.example.com");
    expect(await status("b.wild.example.com")).toBe(503);
  });
});
