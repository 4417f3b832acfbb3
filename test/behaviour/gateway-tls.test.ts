// What Gateway servers do with TLS, mode by mode and field by field, on connections through a real gateway.
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { Agent } from "node:https";
import { dirname, join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { type Authority, certificateFiles, createAuthority, type KeyedCertificate } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend } from "../harness/tcp-backend.js";

const scope = testScope();
const PORT = 8443;
let mesh: TestMesh;
let gateway: TestProxy;
let authority: Authority;
let strangers: Authority;
let server: KeyedCertificate;
/** Paths of the server's certificate, its key, and the authority's certificate. */
let files: { certificate: string; privateKey: string; authority: string };

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  [authority, strangers] = [await createAuthority("ours"), await createAuthority("theirs")];
  server = await authority.issue(["a.example.com", "b.example.com", "*.wild.example.com"]);
  const own = await certificateFiles(scope, server);
  files = { ...own, authority: join(dirname(own.certificate), "authority.pem") };
  await writeFile(files.authority, authority.certificate);
  const web = await startBackend(scope, "web");
  const raw = await startTcpBackend(scope, "raw");
  const behind = await startTcpBackend(scope, "behind", { tls: await authority.issue(["p.example.com"]) });
  await mesh.apply("services.yaml", [serviceEntry("web", { v1: web }), services(raw.port, behind.port)].join("---\n"));
  await mesh.apply("secrets.yaml", [secret("plain", server), secret("mutual", server, authority)].join("---\n"));
  await mesh.apply("rules.yaml", RULES);
  gateway = await mesh.startProxy({
    name: "gw",
    role: "router",
    labels: { app: "gw" },
    metadata: {
      TLS_SERVER_CERT_CHAIN: files.certificate,
      TLS_SERVER_KEY: files.privateKey,
      TLS_SERVER_ROOT_CERT: files.authority,
    },
  });
});

/** A rejection would leave a proxy with what it had, which may pass for the right thing. */
afterEach(async () => {
  for (const { name, state } of await mesh.proxies()) expect(`${name}: ${state}`).not.toMatch(/rejected|disconnected/);
});

function services(raw: number, behind: number): string {
  const entry = (host: string, protocol: string, port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host}}
spec:
  hosts: [${host}.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: main, protocol: ${protocol}}]
  endpoints: [{address: 127.0.0.1, ports: {main: ${port}}}]
`;
  return [entry("raw", "TCP", raw), entry("p", "TLS", behind)].join("---\n");
}

function secret(name: string, own: KeyedCertificate, clients?: Authority): string {
  const encode = (text: string) => Buffer.from(text).toString("base64");
  const ca = clients ? `, ca.crt: ${encode(clients.certificate)}` : "";
  return `apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: kubernetes.io/tls
data: {tls.crt: ${encode(own.certificate)}, tls.key: ${encode(own.privateKey)}${ca}}
`;
}

/** HTTP goes to web, opened TLS to raw, unopened TLS to p; one VirtualService for each, bound to the gateways gw and gw-2. */
const RULES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*.example.com"]
  gateways: [gw, gw-2]
  http:
  - route: [{destination: {host: web}}]
    headers: {response: {set: {x-served: gateway}}}
  tcp: [{route: [{destination: {host: raw.example.com}}]}]
  tls: [{match: [{sniHosts: [p.example.com]}], route: [{destination: {host: p.example.com}}]}]
`;

interface ServerYaml {
  readonly tls: string;
  readonly hosts?: string;
  readonly protocol?: string;
  readonly gateway?: string;
}

/** Servers that share one port, each in a Gateway of its own unless two name the same one. */
function serve(...servers: readonly ServerYaml[]): Promise<void> {
  const gateways = servers.map(
    ({ tls, hosts = '"*"', protocol = "HTTPS", gateway: name = "gw" }) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}}
spec:
  selector: {app: gw}
  servers:
  - port: {number: ${PORT}, name: main, protocol: ${protocol}}
    hosts: [${hosts}]
    tls: ${tls}
`,
  );
  return mesh.apply("gateway.yaml", gateways.join("---\n"));
}

const byFiles = () => `serverCertificate: ${files.certificate}, privateKey: ${files.privateKey}`;

/** The status of a request over TLS, or "refused". */
async function status(client: Partial<KeyedCertificate> = {}, serverName = "a.example.com"): Promise<number | string> {
  const { certificate: cert, privateKey: key } = client;
  const agent = new Agent(cert && key ? { cert, key } : {});
  try {
    const headers = { host: serverName };
    const url = `https://${gateway.address}:${PORT}/`;
    const answer = await ask(url, { headers, ca: authority.certificate, serverName, agent });
    return answer.headers["x-served"] ? answer.status : `not by the rule: ${answer.status}`;
  } catch {
    return "refused";
  } finally {
    agent.destroy();
  }
}

/** A connection that is open as long as the file runs, unless it is destroyed before. Rejects when the handshake fails. */
async function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  const base = { host: gateway.address, port: PORT, ca: authority.certificate, servername: "a.example.com" };
  const socket = connect({ ...base, ...options });
  scope.use({ close: () => socket.destroy() });
  await once(socket, "secureConnect");
  return socket;
}

async function firstLine(options: ConnectionOptions): Promise<string> {
  const socket = await handshake(options);
  try {
    const [data] = await once(socket, "data");
    return String(data).trim();
  } finally {
    socket.destroy();
  }
}

describe("TLS that ends at the gateway", () => {
  it("is SIMPLE: the server's certificate from files or a secret, and none of the client's", async () => {
    covers("Gateway", "servers[].tls", "servers[].tls.mode", "servers[].tls.serverCertificate");
    covers("Gateway", "servers[].tls.privateKey", "servers[].tls.credentialName");
    await serve({ tls: `{mode: SIMPLE, ${byFiles()}}` });
    expect(await status()).toBe(200);
    await serve({ tls: "{mode: SIMPLE, credentialName: plain}" });
    expect(await status()).toBe(200);
  });

  it("is MUTUAL: a client's certificate must come from the authority", async () => {
    covers("Gateway", "servers[].tls.caCertificates");
    const [ours, theirs] = [await authority.issue(["client"]), await strangers.issue(["client"])];
    for (const own of [`${byFiles()}, caCertificates: ${files.authority}`, "credentialName: mutual"]) {
      await serve({ tls: `{mode: MUTUAL, ${own}}` });
      expect([await status(ours), await status(theirs), await status()], own).toEqual([200, "refused", "refused"]);
    }
  });

  it("is OPTIONAL_MUTUAL: a client may have no certificate, but none of a strange authority", async () => {
    const [ours, theirs] = [await authority.issue(["client"]), await strangers.issue(["client"])];
    await serve({ tls: "{mode: OPTIONAL_MUTUAL, credentialName: mutual}" });
    expect([await status(ours), await status(theirs), await status()]).toEqual([200, "refused", 200]);
  });

  it("is ISTIO_MUTUAL: the workload's own certificates on both sides", async () => {
    const [ours, theirs] = [
      await authority.issue(["spiffe://cluster.local/ns/default/sa/client"]),
      await strangers.issue(["spiffe://cluster.local/ns/default/sa/client"]),
    ];
    await serve({ tls: "{mode: ISTIO_MUTUAL}" });
    expect([await status(ours), await status(theirs), await status()]).toEqual([200, "refused", "refused"]);
  });

  it("wants one of subjectAltNames in the client's certificate", async () => {
    covers("Gateway", "servers[].tls.subjectAltNames");
    const spiffe = "spiffe://cluster.local/ns/default/sa/good";
    await serve({ tls: `{mode: MUTUAL, credentialName: mutual, subjectAltNames: [good.example.com, "${spiffe}"]}` });
    expect(await status(await authority.issue(["good.example.com"]))).toBe(200);
    expect(await status(await authority.issue([spiffe]))).toBe(200);
    expect(await status(await authority.issue(["bad.example.com"]))).toBe("refused");
  });

  it("is not older than minProtocolVersion, nor newer than maxProtocolVersion", async () => {
    covers("Gateway", "servers[].tls.minProtocolVersion", "servers[].tls.maxProtocolVersion");
    await serve({ tls: "{mode: SIMPLE, credentialName: plain, minProtocolVersion: TLSV1_3}" });
    expect((await handshake({})).getProtocol()).toBe("TLSv1.3");
    await expect(handshake({ maxVersion: "TLSv1.2" })).rejects.toThrow();
    await serve({ tls: "{mode: SIMPLE, credentialName: plain, maxProtocolVersion: TLSV1_2}" });
    expect((await handshake({})).getProtocol()).toBe("TLSv1.2");
    await expect(handshake({ minVersion: "TLSv1.3" })).rejects.toThrow();
  });

  it("uses one of cipherSuites", async () => {
    covers("Gateway", "servers[].tls.cipherSuites");
    const suite = "ECDHE-ECDSA-AES256-GCM-SHA384";
    await serve({
      tls: `{mode: SIMPLE, credentialName: plain, maxProtocolVersion: TLSV1_2, cipherSuites: [${suite}]}`,
    });
    expect((await handshake({})).getCipher().name).toBe(suite);
    await expect(handshake({ ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).rejects.toThrow();
  });

  it("may hold what is no HTTP", async () => {
    await serve({ tls: "{mode: SIMPLE, credentialName: plain}", protocol: "TLS", hosts: "a.example.com" });
    expect(await firstLine({})).toBe("raw");
    await expect(firstLine({ servername: "b.example.com" })).rejects.toThrow();
  });
});

describe("TLS that goes through the gateway unopened", () => {
  it("is PASSTHROUGH: by the server name, to what a tls rule says", async () => {
    await serve({ tls: "{mode: PASSTHROUGH}", protocol: "TLS", hosts: "p.example.com" });
    expect(await firstLine({ servername: "p.example.com" })).toBe("behind");
    await expect(firstLine({ servername: "a.example.com" })).rejects.toThrow();
  });

  it("is AUTO_PASSTHROUGH: to the service, port and subset that the server name spells", async () => {
    await serve({ tls: "{mode: AUTO_PASSTHROUGH}", protocol: "TLS" });
    const named = (servername: string) => firstLine({ servername, rejectUnauthorized: false });
    expect(await named("outbound_.9000_._.p.example.com")).toBe("behind");
    await expect(named("outbound_.9001_._.p.example.com")).rejects.toThrow();
    await expect(named("p.example.com")).rejects.toThrow();
  });
});

describe("several TLS servers on one port", () => {
  it("are told apart by the server name, each with its certificate and mode", async () => {
    const other = await createAuthority("another");
    await mesh.apply("other.yaml", secret("other", await other.issue(["x.example.com"])));
    await serve(
      { tls: "{mode: SIMPLE, credentialName: plain}", hosts: '"*.wild.example.com", a.example.com' },
      { tls: "{mode: SIMPLE, credentialName: other}", hosts: "x.example.com", gateway: "gw-2" },
      { tls: "{mode: PASSTHROUGH}", hosts: "p.example.com", protocol: "TLS", gateway: "gw-3" },
      { tls: "{mode: MUTUAL, credentialName: mutual}", hosts: "a.example.com, b.example.com", gateway: "gw-4" },
    );
    await mesh.apply("rules.yaml", RULES.replace("gw-2]", "gw-2, gw-3, gw-4]"));
    expect([await status(), await status({}, "any.wild.example.com")]).toEqual([200, 200]);
    const x = await handshake({ servername: "x.example.com", ca: other.certificate });
    expect(x.authorized).toBe(true);
    x.destroy();
    expect(await firstLine({ servername: "p.example.com" })).toBe("behind");
    // The oldest, by name where all are of one age, has a.example.com; b.example.com is left to the other.
    expect(await status({}, "b.example.com")).toBe("refused");
    expect(await status(await authority.issue(["client"]), "b.example.com")).toBe(200);
    await mesh.remove("other.yaml");
  });

  it("of one certificate serve each other's hosts, for clients keep one HTTP/2 connection for both", async () => {
    await serve(
      { tls: "{mode: SIMPLE, credentialName: plain}", hosts: "a.example.com" },
      { tls: "{mode: SIMPLE, credentialName: plain}", hosts: "b.example.com", gateway: "gw-2" },
      { tls: "{mode: MUTUAL, credentialName: mutual}", hosts: "c.example.com", gateway: "gw-4" },
    );
    const ca = await readFile(files.authority, "utf8");
    const session = connectHttp2(`https://${gateway.address}:${PORT}`, { ca, servername: "a.example.com" });
    const statusOf = async (host: string) => {
      const stream = session.request({ ":path": "/", ":authority": host });
      const [head] = await once(stream, "response");
      stream.destroy();
      return head[":status"];
    };
    expect([await statusOf("a.example.com"), await statusOf("b.example.com")]).toEqual([200, 200]);
    // Another server asks for the client's certificate, which this connection was not asked for.
    expect(await statusOf("c.example.com")).toBe(404);
    session.destroy();
  });
});
