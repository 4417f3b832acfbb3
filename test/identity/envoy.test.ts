// A secured control plane and real Envoys, as they are run: who is served, renewal of everything, and no secret anywhere.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { TYPE_URLS } from "../../controlplane/admin/type-names.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { type Authority, createAuthority, type KeyedCertificate } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { runHeadgate } from "../harness/headgate.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { createIssuer } from "./support/issuer.js";
import { type ProxyOptions, SecuredMesh, type ServedProxy } from "./support/secured-mesh.js";

const scope = testScope();
const GATEWAY: ProxyOptions = { name: "gw", namespace: "edge", role: "router", labels: "app=gw", shows: "certificate" };
const SIDECAR: ProxyOptions = { name: "client", namespace: "default", shows: "token" };
let mesh: SecuredMesh;
let gateway: ServedProxy;
let sidecar: ServedProxy;
let backend: Backend;
let site: Authority;
let siteCertificate: KeyedCertificate;

function policies(certificate: KeyedCertificate): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return `${serviceEntry("ext", { v1: backend })}---
apiVersion: v1
kind: Secret
metadata: {name: site, namespace: edge}
type: kubernetes.io/tls
data: {tls.crt: ${base64(certificate.certificate)}, tls.key: ${base64(certificate.privateKey)}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: site, namespace: edge}
spec:
  selector: {app: gw}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: site}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: site, namespace: edge}
spec:
  hosts: ["*"]
  gateways: [site]
  http: [{route: [{destination: {host: ext.default.svc.cluster.local}}]}]
`;
}

beforeAll(async () => {
  const [servers, clients, issuer] = await Promise.all([
    createAuthority("servers"),
    createAuthority("clients"),
    createIssuer(),
  ]);
  site = await createAuthority("site");
  siteCertificate = await site.issue(["site.example.org"]);
  backend = await startBackend(scope, "v1");
  mesh = await SecuredMesh.create(scope, servers, clients, issuer);
  await writeFile(join(mesh.policies, "all.yaml"), policies(siteCertificate));
  await mesh.start();
  [gateway, sidecar] = await Promise.all([mesh.startProxy(GATEWAY), mesh.startProxy(SIDECAR)]);
}, 120_000);

const logged = () => mesh.serve?.stderr() ?? "";

async function bothServe(): Promise<void> {
  const [serverName, host] = ["site.example.org", "ext.default.svc.cluster.local:9080"];
  const asked = { headers: { host: serverName }, ca: site.certificate, serverName };
  expect((await ask(`https://${gateway.address}:10443/`, asked)).status).toBe(200);
  expect((await ask(`http://${sidecar.address}:9080/`, { headers: { host } })).status).toBe(200);
}

test("A gateway known by its certificate and a sidecar known by its token carry traffic", bothServe);

test("Who claims another namespace than its proof's is refused, and told why", async () => {
  for (const shows of ["certificate", "token"] as const) {
    const options = { ...GATEWAY, name: `thief-${shows}`, shows, issuedFor: "thieves" };
    const thief = await mesh.runProxy(options);
    const refusal = `refused ${thief.id} from 127.0.0.1:`;
    const line = await eventually("it is refused", () =>
      logged()
        .split("\n")
        .find((candidate) => candidate.includes(refusal)),
    );
    expect(line).toContain("PERMISSION_DENIED, the node says service account default of namespace edge");
    expect(line).toContain("is that of service account default of namespace thieves");
    expect((await mesh.proxies()).map(({ id }) => id)).not.toContain(thief.id);
    thief.run.child.kill("SIGKILL");
    await thief.run.exited;
  }
  expect(await mesh.ask("/metrics")).toMatch(/headgate_ads_refused_streams_total\{code="PERMISSION_DENIED"\} [1-9]/);
});

test("A gateway of another namespace that carries the same labels is not sent the secret", async () => {
  const other = await mesh.runProxy({ ...GATEWAY, name: "other", namespace: "thieves", shows: "token" });
  const types = await eventually("it is served", async () => {
    const answer = JSON.parse(await mesh.ask(`/config?proxy=${encodeURIComponent(other.id)}`));
    return answer.types as { type: string }[] | undefined;
  });
  expect(types.map(({ type }) => type)).not.toContain("Secret");
  other.run.child.kill("SIGKILL");
  await other.run.exited;
});

test("Nothing that anybody is shown or that is logged has a key or a token in it", async () => {
  const answers: string[] = [];
  const paths = ["/", "/healthz", "/mesh", "/violations", "/proxies", "/events?after=0", "/translation", "/metrics"];
  for (const path of paths) answers.push(await mesh.ask(path));
  for (const { id } of [gateway, sidecar]) {
    const proxy = encodeURIComponent(id);
    answers.push(await mesh.ask(`/config?proxy=${proxy}`));
    for (const type of TYPE_URLS.keys()) answers.push(await mesh.ask(`/config?proxy=${proxy}&type=${type}`));
  }
  const commands = [["status"], ["status", "gw", "-o", "yaml"], ["config", "gw"], ["config", "client", "-o", "json"]];
  for (const args of commands) {
    const run = runHeadgate(scope, [...args, "--admin", mesh.admin]);
    expect(await run.exited, `${args.join(" ")}: ${run.stderr()}`).toMatchObject({ code: 0 });
    answers.push(run.stdout());
  }
  answers.push(logged());
  for (const { run, envoy } of [gateway, sidecar]) {
    answers.push(run.stderr(), await (await fetch(`http://${envoy}/config_dump?include_eds`)).text());
  }
  const shown = answers.join("\n");
  expect(shown).toContain("site.example.org");
  expect(shown).toContain("kubernetes://site");
  for (const secret of await allSecrets()) expect(shown.includes(secret), `a secret of ${secret.length}`).toBe(false);
});

/** What must not be seen, in each form in which it may turn up. */
async function allSecrets(): Promise<string[]> {
  const read = (name: string) => readFile(join(mesh.directory, name), "utf8");
  const keys = [siteCertificate.privateKey, await read("server.key"), await read("gw.key")];
  const forms = keys.flatMap((pem) => {
    const lines = pem.split("\n").filter((line) => line.length > 20 && !line.startsWith("-----"));
    return [...lines, Buffer.from(pem).toString("base64").slice(48, 120)];
  });
  return [...forms, "PRIVATE KEY", await read("client.token")];
}

test("Certificates, keys and tokens are renewed under proxies that go on, and used when they come back", async () => {
  await mesh.trust(await createAuthority("next clients"), await createIssuer("next"));
  await mesh.renewServer();
  await eventually("all is read", () => /server\.pem again/.test(logged()) && /jwks\.json again/.test(logged()));
  await bothServe();
  const connected = async (state?: string) =>
    (await mesh.proxies()).filter((proxy) => proxy.connected && (!state || proxy.state === state)).map(({ id }) => id);
  const both = [gateway.id, sidecar.id].sort();
  expect(await connected()).toEqual(both);

  await mesh.renewProof(GATEWAY);
  await mesh.renewProof(SIDECAR);
  await mesh.stop();
  await bothServe();
  await mesh.start();
  await eventually("both are back", async () => (await connected("synced")).join() === both.join(), 30_000);
  await writeFile(join(mesh.policies, "more.yaml"), serviceEntry("more", { v1: backend }));
  const host = "more.default.svc.cluster.local:9080";
  await eventually("what is new reaches the sidecar", async () => {
    return (await ask(`http://${sidecar.address}:9080/`, { headers: { host } })).status === 200;
  });
});
