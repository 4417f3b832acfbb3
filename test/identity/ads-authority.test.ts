// ADS certificates of the control plane's own making, on a real API server: one authority for all replicas, and who gets it.
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { restoreAuthority } from "../../controlplane/certificates/authority.js";
import { shareAuthority } from "../../controlplane/identity/ads-authority.js";
import { issueTls } from "../../controlplane/identity/issued-tls.js";
import { freePort } from "../harness/addresses.js";
import { createAuthority } from "../harness/certificates.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";

const CONFIG_MAPS = { group: "", version: "v1", plural: "configmaps" };
const SYSTEM = "headgate-system";

/** The certificate that is shown, once it has been held against the authority and the name. */
function shown(address: string, ca: string, servername: string): Promise<X509Certificate> {
  const [host = "", port] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), ca, servername, ALPNProtocols: ["h2"] }, () => {
      resolve(new X509Certificate(socket.getPeerX509Certificate()?.raw as Buffer));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

describe("a certificate that an authority of ours issues", () => {
  const scope = testScope();

  test("is replaced, long before its end, by another of the same authority", async () => {
    const authority = await createAuthority("test");
    const tls = scope.use(await issueTls(authority, { names: ["a.test"], days: 29, lookMs: 5 }));
    const first = tls.current.certificate.toString();
    const renewed = await new Promise<Buffer>((resolve) => tls.onRenewed(({ certificate }) => resolve(certificate)));
    expect(renewed.toString()).not.toBe(first);
    expect(new X509Certificate(renewed).checkIssued(new X509Certificate(authority.certificate))).toBe(true);
  });

  test("is left alone while it has long to go", async () => {
    const authority = await createAuthority("test");
    const tls = scope.use(await issueTls(authority, { names: ["a.test"], lookMs: 5 }));
    const first = tls.current;
    // Was made later, and looks no more often.
    const other = scope.use(await issueTls(authority, { names: ["a.test"], days: 29, lookMs: 20 }));
    await new Promise<void>((resolve) => other.onRenewed(() => resolve()));
    expect(tls.current).toBe(first);
    expect(first.expiresAt - Date.now()).toBeGreaterThan(80 * 86_400_000);
  });

  test("is of an authority that can be exported and restored, unless it is none", async () => {
    const authority = await createAuthority("test");
    const restored = await restoreAuthority(await authority.export());
    const { certificate } = await restored.issue(["a.test"]);
    expect(new X509Certificate(certificate).verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    await expect(restoreAuthority({ certificate: "", privateKey: "" })).rejects.toThrow();
  });
});

describe("headgate serve --ads-service", () => {
  const scope = testScope();

  test.each([
    ["--ads-service needs --kube", ["--config", ".", "--ads-service", "a/b"]],
    ["--ads-ca-namespaces needs --ads-service", ["--config", ".", "--ads-ca-namespaces", "a"]],
    ["write NAMESPACE/NAME", ["--kube", "--kubeconfig", "KUBECONFIG", "--ads-service", "a"]],
    ["exclude each other", ["--kube", "--kubeconfig", "KUBECONFIG", "--ads-service", "a/b", "--ads-cert", "c"]],
  ])("says %s", async (text, args) => {
    const kubeconfig = "test/identity/support/nowhere.kubeconfig.json";
    const run = runHeadgate(scope, ["serve", ...args.map((arg) => (arg === "KUBECONFIG" ? kubeconfig : arg))]);
    expect((await run.exited).code).toBe(64);
    expect(run.stderr()).toContain(text);
  });

  test("is live and not ready while there is no cluster, and says why", async () => {
    const port = await freePort();
    const kube = ["--kube", "--kubeconfig", "test/identity/support/nowhere.kubeconfig.json"];
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--status", `127.0.0.1:${port}`];
    const run = runHeadgate(scope, ["serve", ...kube, ...addresses, "--ads-service", "headgate-system/headgate"]);
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await eventually("it is live", async () => (await ask("/healthz/live").catch(() => undefined))?.status === 200);
    const ready = await ask("/healthz/ready");
    expect([ready.status, await ready.text()]).toEqual([503, "policies and services have not been read yet\n"]);
    await eventually("it says why", () => run.stderr().includes("waiting for the authority"));
    run.child.kill("SIGTERM");
    expect((await run.exited).code).toBe(0);
  });
});

describe.skipIf("error" in kubeBinaries)("headgate serve --ads-service on a cluster", () => {
  const scope = testScope();
  let cluster: Cluster;
  let args: readonly string[];
  let replicas: readonly ServeProcess[];

  const configMap = (namespace: string) => cluster.client.get(CONFIG_MAPS, { namespace, name: "headgate-ads-ca" });

  beforeAll(async () => {
    cluster = await startCluster(scope);
    for (const namespace of [SYSTEM, "gateways"]) {
      await cluster.kubectl(["create", "namespace", namespace]);
      await cluster.kubectl(["create", "configmap", "headgate-ads-ca", "-n", namespace, "--from-literal=own=kept"]);
    }
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--status", "127.0.0.1:0"];
    const authority = ["--ads-service", `${SYSTEM}/headgate`, "--ads-ca-namespaces", `${SYSTEM},gateways`];
    args = ["--kube", "--kubeconfig", cluster.kubeconfig, ...addresses, ...authority];
    replicas = await Promise.all([startServe(scope, args), startServe(scope, args)]);
  });

  test("shows certificates of one authority on every replica, under the Service's names", async () => {
    const { certificate: ca } = await shareAuthority(cluster.client, { namespace: SYSTEM, name: "headgate-ads" });
    const certificates = await Promise.all(
      replicas.map(({ ads }) => shown(ads, ca, `headgate.${SYSTEM}.svc.cluster.local`)),
    );
    expect(certificates[0]?.fingerprint).not.toBe(certificates[1]?.fingerprint);
    await expect(shown(replicas[0]?.ads as string, ca, "other.test")).rejects.toThrow("does not match");
  });

  test("tells the ConfigMaps of it, and leaves what else is in them", async () => {
    const { certificate } = await shareAuthority(cluster.client, { namespace: SYSTEM, name: "headgate-ads" });
    for (const namespace of [SYSTEM, "gateways"]) {
      await eventually(`${namespace} is told`, async () => {
        const found = await configMap(namespace);
        return "ca.pem" in ((found?.data ?? {}) as object);
      });
      expect((await configMap(namespace))?.data).toEqual({ own: "kept", "ca.pem": certificate });
    }
  });

  test("is ready once it serves, with the metrics of the control plane", async () => {
    const ask = async (path: string) => fetch(`http://${replicas[0]?.status}${path}`);
    expect(await (await ask("/healthz/ready")).text()).toBe("ready\n");
    const expiry = /^headgate_ads_certificate_expiry_timestamp_seconds (\d+)/m.exec(
      await (await ask("/metrics")).text(),
    );
    expect(Number(expiry?.[1]) * 1_000).toBeGreaterThan(Date.now() + 80 * 86_400_000);
  });

  test("knows proxies by certificates of an authority in a file", async () => {
    const { certificate: ca } = await shareAuthority(cluster.client, { namespace: SYSTEM, name: "headgate-ads" });
    const clients = await createAuthority("clients");
    const own = await clients.issue(["spiffe://cluster.local/ns/default/sa/default"]);
    const file = join(await scope.directory(), "clients.pem");
    await writeFile(file, clients.certificate);
    const { ads } = await startServe(scope, [...args, "--ads-client-ca", file]);
    const isServed = (client: object) =>
      new Promise<boolean>((resolve) => {
        const port = Number(ads.split(":").at(-1));
        const server = { host: "127.0.0.1", port, ca, servername: `headgate.${SYSTEM}.svc`, ALPNProtocols: ["h2"] };
        const socket = connect({ ...server, ...client });
        // What HTTP/2 begins with comes once the client's certificate is found good.
        socket.once("data", () => resolve(true)).once("close", () => resolve(false));
        socket.on("error", () => {}).on("data", () => socket.destroy());
      });
    expect(await isServed({ cert: own.certificate, key: own.privateKey })).toBe(true);
    expect(await isServed({})).toBe(false);
  });

  test("never replaces a Secret that holds no authority, since proxies may trust what it held", async () => {
    await cluster.kubectl(["create", "secret", "generic", "broken-ads", "-n", SYSTEM, "--from-literal=ca.crt=x"]);
    await expect(shareAuthority(cluster.client, { namespace: SYSTEM, name: "broken-ads" })).rejects.toThrow(
      "holds no authority",
    );
  });
});
