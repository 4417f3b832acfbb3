// The client against a real API server: what it reads, writes and watches, and how it says what went wrong.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import type { WatchEvent } from "../../controlplane/kube/object.js";
import { testScope } from "../harness/scope.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";

const CONFIG_MAPS = { group: "", version: "v1", plural: "configmaps" };
const ACCOUNTS = { group: "", version: "v1", plural: "serviceaccounts" };
const DEPLOYMENTS = { group: "apps", version: "v1", plural: "deployments" };

function configMap(name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
}

describe.skipIf("error" in kubeBinaries)("a client of the Kubernetes API", () => {
  const scope = testScope();
  let cluster: Cluster;
  let client: KubeClient;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    client = cluster.client;
  });

  async function token(account: string, seconds: number): Promise<string> {
    const request = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: seconds },
    };
    const made = await client.createUnder(ACCOUNTS, { namespace: "default", name: account }, request, {
      subresource: "token",
    });
    return (made.status as { token: string }).token;
  }

  test("makes, gets, replaces, merges, applies and deletes objects", async () => {
    const at = { namespace: "default", name: "crud" };
    const made = await client.create(CONFIG_MAPS, configMap("crud", { a: "1" }), "default");
    expect(made.metadata.uid).toBeDefined();
    const replaced = await client.replace(CONFIG_MAPS, at, { ...made, data: { a: "2" } });
    expect(replaced.data).toEqual({ a: "2" });
    await expect(client.replace(CONFIG_MAPS, at, { ...made, data: {} })).rejects.toMatchObject({ status: 409 });
    const merged = await client.merge(CONFIG_MAPS, at, { data: { b: "3" } });
    expect(merged.data).toEqual({ a: "2", b: "3" });
    const applied = await client.apply(CONFIG_MAPS, at, configMap("crud", { c: "4" }), { fieldManager: "headgate" });
    expect(applied.data).toEqual({ a: "2", b: "3", c: "4" });
    const dropped = await client.apply(CONFIG_MAPS, at, configMap("crud"), { fieldManager: "headgate" });
    expect(dropped.data).toEqual({ a: "2", b: "3" });
    await client.delete(CONFIG_MAPS, at);
    await client.delete(CONFIG_MAPS, at);
    expect(await client.get(CONFIG_MAPS, at)).toBeUndefined();
  });

  test("applies a status by itself", async () => {
    const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };
    const deployment = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "a" },
      spec: { replicas: 1, selector: { matchLabels: { app: "a" } }, template },
    };
    await client.create(DEPLOYMENTS, deployment, "default");
    const status = { ...deployment, spec: undefined, status: { replicas: 7 } };
    const at = { namespace: "default", name: "a" };
    const applied = await client.apply(DEPLOYMENTS, at, status, { fieldManager: "status", subresource: "status" });
    expect(applied).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 7 } });
  });

  test("asks for a list that is too large to be taken in smaller parts", async () => {
    const names = Array.from({ length: 9 }, (_, i) => `large-${i}`);
    const data = { large: "x".repeat(1_000_000) };
    for (const name of names) await client.create(CONFIG_MAPS, configMap(name, data, { large: "yes" }), "kube-public");
    const selection = { namespace: "kube-public", labelSelector: "large=yes" };
    await expect(client.list(CONFIG_MAPS, selection)).rejects.toMatchObject({ reason: "TooLarge" });
    const listed: (string | undefined)[] = [];
    for await (const { items } of client.pages(CONFIG_MAPS, selection))
      listed.push(...items.map((o) => o.metadata.name));
    expect(listed).toEqual(names);
  });

  test("lists in pages, by label, and in one namespace or all", async () => {
    for (const name of ["p1", "p2", "p3"]) {
      await client.create(CONFIG_MAPS, configMap(name, {}, { page: "yes" }), "default");
    }
    const first = await client.list(CONFIG_MAPS, { labelSelector: "page=yes", limit: 2 });
    expect(first.items.map(({ metadata }) => metadata.name)).toEqual(["p1", "p2"]);
    const more = { continue: first.continue as string };
    const second = await client.list(CONFIG_MAPS, { labelSelector: "page=yes", limit: 2, ...more });
    expect(second.items.map(({ metadata }) => metadata.name)).toEqual(["p3"]);
    expect(second.continue).toBeUndefined();
    expect((await client.list(CONFIG_MAPS, { namespace: "kube-public", labelSelector: "page=yes" })).items).toEqual([]);
  });

  test("watches from a list on, and ends when the server or the caller does", async () => {
    const { resourceVersion } = await client.list(CONFIG_MAPS, { namespace: "default" });
    await client.create(CONFIG_MAPS, configMap("w1"), "default");
    await client.delete(CONFIG_MAPS, { namespace: "default", name: "w1" });
    const seen: WatchEvent[] = [];
    for await (const events of client.watch(CONFIG_MAPS, { namespace: "default", resourceVersion })) {
      seen.push(...events);
      if (seen.some(({ type }) => type === "DELETED")) break;
    }
    const changes = seen.filter(({ type }) => type !== "BOOKMARK");
    expect(changes.map(({ type, object }) => [type, object.metadata.name])).toEqual([
      ["ADDED", "w1"],
      ["DELETED", "w1"],
    ]);
    const short = client.watch(CONFIG_MAPS, { namespace: "default", resourceVersion, timeoutSeconds: 1 });
    for await (const _ of short);
    const stop = new AbortController();
    const endless = client.watch(CONFIG_MAPS, { resourceVersion, signal: stop.signal });
    await endless.next();
    stop.abort();
    await expect(endless.next()).rejects.toMatchObject({ name: "KubeFault" });
  });

  test("says that a resourceVersion is too old, though the answer to the watch is 200", async () => {
    // The server remembers no change from before it started.
    await cluster.apiServer.kill();
    await cluster.apiServer.start();
    const watch = client.watch(CONFIG_MAPS, { resourceVersion: "1" });
    await expect(watch.next()).rejects.toMatchObject({ status: 410, reason: "Expired", isExpired: true });
  });

  test("says what the server says, and that there is none", async () => {
    const nowhere = { group: "nowhere.example.com", version: "v1", plural: "things" };
    await expect(client.list(nowhere)).rejects.toMatchObject({ status: 404 });
    const bad = { ...configMap("Not A Name") };
    await expect(client.create(CONFIG_MAPS, bad, "default")).rejects.toMatchObject({ status: 422, reason: "Invalid" });
    const gone = await cluster.writeKubeconfig("gone", { server: "https://127.0.0.1:1", user: { token: "t" } });
    const other = scope.use(await KubeClient.connect({ kubeconfig: gone }));
    await expect(other.list(CONFIG_MAPS)).rejects.toMatchObject({ status: 0, reason: "ECONNREFUSED" });
    await expect(KubeClient.connect({ kubeconfig: join(cluster.directory, "none") })).rejects.toThrow("cannot be read");
  });

  test("reads its token's file anew when the server no longer takes the token", async () => {
    await client.create(
      ACCOUNTS,
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "reader" } },
      "default",
    );
    const tokenFile = join(cluster.directory, "token");
    await writeFile(tokenFile, "lapsed\n");
    const kubeconfig = await cluster.writeKubeconfig("reader", { user: { tokenFile: "token" } });
    const reader = scope.use(await KubeClient.connect({ kubeconfig }));
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const type = { group: "authentication.k8s.io", version: "v1", plural: "selfsubjectreviews" };
    await expect(reader.create(type, review)).rejects.toMatchObject({ status: 401 });
    await writeFile(tokenFile, `${await token("reader", 600)}\n`);
    const answer = await reader.create(type, review);
    expect(answer.status).toMatchObject({ userInfo: { username: "system:serviceaccount:default:reader" } });
  });

  test("is the pod's service account where it runs in a pod", async () => {
    await client.create(ACCOUNTS, { metadata: { name: "pod" } }, "default");
    const podRoot = await scope.directory();
    const mounted = join(podRoot, "var/run/secrets/kubernetes.io/serviceaccount");
    await mkdir(mounted, { recursive: true });
    await copyFile(join(cluster.directory, "ca.crt"), join(mounted, "ca.crt"));
    await writeFile(join(mounted, "token"), await token("pod", 600));
    await writeFile(join(mounted, "namespace"), "default");
    await expect(KubeClient.connect({ podRoot })).rejects.toThrow("--kubeconfig");
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "127.0.0.1");
    vi.stubEnv("KUBERNETES_SERVICE_PORT", new URL(cluster.server).port);
    const pod = scope.use(await KubeClient.connect({ podRoot }));
    vi.unstubAllEnvs();
    expect(pod.access.namespace).toBe("default");
    const type = { group: "authentication.k8s.io", version: "v1", plural: "selfsubjectreviews" };
    const { status } = await pod.create(type, { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
    expect(status).toMatchObject({ userInfo: { username: "system:serviceaccount:default:pod" } });
  });
});
