// The Kubernetes source against a real API server: the behaviour of every source, and what only a cluster does.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import {
  createKubernetesSource,
  type KubernetesSource,
  type KubernetesSourceOptions,
} from "../../controlplane/sources/kubernetes.js";
import { createAuthority } from "../harness/certificates.js";
import { startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { Follower, hostOf, key, testSource } from "../sources/source-suite.js";
import { createAccount, forbid, permit } from "./support/accounts.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installCustomResources, removeCustomResource, typeOf } from "./support/custom-resources.js";

const ENTRIES = typeOf("ServiceEntry");

describe.skipIf("error" in kubeBinaries)("with a real API server,", () => {
  const scope = testScope();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installCustomResources(cluster.client, ["ServiceEntry", "VirtualService"]);
  });

  function createSource(options: Partial<KubernetesSourceOptions> = {}): KubernetesSource {
    return createKubernetesSource({
      client: cluster.client,
      defaultNamespace: "default",
      kinds: ["ServiceEntry"],
      lookMs: 200,
      ...options,
    });
  }

  async function put(name: string, host: string | undefined, labels: Record<string, string> = {}): Promise<void> {
    const object = {
      apiVersion: "networking.istio.io/v1",
      kind: "ServiceEntry",
      metadata: { name, labels },
      spec: { hosts: host === undefined ? [] : [host] },
    };
    await cluster.client.apply(ENTRIES, { namespace: "default", name }, object, { fieldManager: "test" });
  }

  async function removeAll(): Promise<void> {
    for (
      let left = await cluster.client.list(ENTRIES);
      left.items.length > 0;
      left = await cluster.client.list(ENTRIES)
    ) {
      const names = left.items.map(({ metadata }) => metadata as { name: string });
      await Promise.all(names.map((name) => cluster.client.delete(ENTRIES, name)));
    }
  }

  testSource("a cluster", async () => {
    const source = createSource();
    return {
      source,
      put,
      remove: (name) => cluster.client.delete(ENTRIES, { namespace: "default", name }),
      async close() {
        await source.close();
        await removeAll();
      },
    };
  });

  describe("a cluster's source", () => {
    let source: KubernetesSource;
    let follower: Follower;

    beforeEach(() => {
      follower = new Follower();
    });
    afterEach(async () => {
      await source.close();
      await removeAll();
    });

    async function start(options: Partial<KubernetesSourceOptions> = {}) {
      source = createSource(options);
      follower.add(await source.start(follower.add));
      return follower.latest;
    }

    test("is not told of a change of what has no effect", async () => {
      await put("a", "a.example.com");
      await put("b", "b.example.com");
      await start();
      const states = follower.states.length;
      const a = follower.latest.resources.get(key("a"));
      const status = { status: { conditions: [{ type: "Accepted", status: "True" }] } };
      const at = { namespace: "default", name: "a" };
      await cluster.client.merge(ENTRIES, at, status, { subresource: "status" });
      await put("b", "other.example.com");
      const after = await follower.until((state) => hostOf(state, "b") === "other.example.com");
      expect(follower.states.length).toBe(states + 1);
      expect(after.resources.get(key("a"))).toBe(a);
    });

    test("takes in a list of many pages, and what was missed while nothing could be watched", async () => {
      const names = Array.from({ length: 600 }, (_, index) => `many-${index}`);
      await Promise.all(names.map((name) => put(name, `${name}.example.com`)));
      const relay = await startRelay(scope, Number(new URL(cluster.server).port));
      const server = `https://127.0.0.1:${relay.port}`;
      const user = { token: cluster.token };
      const client = scope.use(
        await KubeClient.connect({ kubeconfig: await cluster.writeKubeconfig("relayed", { server, user }) }),
      );
      const before = await start({ client, mostBackoffMs: 500 });
      expect(before.resources.size).toBe(600);
      relay.refuse(true);
      relay.cut();
      await cluster.client.delete(ENTRIES, { namespace: "default", name: "many-7" });
      await put("many-8", "other.example.com");
      // The server forgets what changed, so that the watch cannot go on.
      await cluster.apiServer.kill();
      await cluster.apiServer.start();
      await put("many-9", "another.example.com");
      relay.refuse(false);
      await follower.until((state) => hostOf(state, "many-9") === "another.example.com");
      const after = await follower.until((state) => state.resources.size === 599);
      expect(hostOf(after, "many-8")).toBe("other.example.com");
      expect(after.resources.has(key("many-7"))).toBe(false);
      for (const { resources } of follower.states) expect(resources.size).toBeGreaterThanOrEqual(599);
      expect(after.resources.get(key("many-10"))).toBe(before.resources.get(key("many-10")));
    });

    test("follows a kind that is installed later, and gives up one that is removed", async () => {
      const telemetry = { kind: "StagedRollout", name: "r" } as const;
      await put("a", "a.example.com");
      const first = await start({ kinds: ["ServiceEntry", "StagedRollout"] });
      expect([...first.resources.keys()]).toEqual([key("a")]);
      await installCustomResources(cluster.client, ["StagedRollout"]);
      const at = { namespace: "default", name: telemetry.name };
      const rollout = {
        apiVersion: "headgate.dev/v1alpha1",
        kind: telemetry.kind,
        metadata: { name: telemetry.name },
        spec: {},
      };
      await cluster.client.apply(typeOf("StagedRollout"), at, rollout, { fieldManager: "test" });
      const added = await follower.until((state) => state.violations.some(({ kind }) => kind === telemetry.kind));
      expect(source.object("StagedRollout/default/r")).toMatchObject({ type: { plural: "stagedrollouts" }, ...at });
      expect(added.violations[0]).toMatchObject({ kind: telemetry.kind, ...at, severity: "error" });
      expect(added.violations[0]).not.toHaveProperty("position");
      await removeCustomResource(cluster.client, "StagedRollout");
      await follower.until((state) => state.violations.length === 0);
      expect(follower.latest.resources.has(key("a"))).toBe(true);
    });

    test("reads a kind in the best version that the cluster has, also when that changes", async () => {
      await installCustomResources(cluster.client, ["Sidecar"], ["v1alpha3"]);
      const sidecar = {
        apiVersion: "networking.istio.io/v1alpha3",
        kind: "Sidecar",
        metadata: { name: "s" },
        spec: { egress: [{ hosts: ["./*"] }] },
      };
      await cluster.client.create({ ...typeOf("Sidecar"), version: "v1alpha3" }, sidecar, "default");
      const first = await start({ kinds: ["Sidecar"], mostBackoffMs: 500 });
      expect([...first.resources.keys()]).toEqual(["Sidecar/default/s"]);
      expect(source.object("Sidecar/default/s")?.type.version).toBe("v1alpha3");
      await installCustomResources(cluster.client, ["Sidecar"], ["v1", "v1alpha3"]);
      const at = { namespace: "default", name: "s" };
      await cluster.client.merge(typeOf("Sidecar"), at, { spec: { egress: [{ hosts: ["./*", "other/*"] }] } });
      await follower.until(({ changed }) => changed.has("Sidecar/default/s"));
      for (const { resources } of follower.states) expect(resources.has("Sidecar/default/s")).toBe(true);
    });

    test("reads only the namespaces and the policies that it is told to", async () => {
      await put("a", "a.example.com", { tier: "front" });
      await put("b", "b.example.com");
      const first = await start({ policySelector: "tier=front", kinds: ["ServiceEntry", "Service", "Namespace"] });
      expect([...first.resources.keys()].filter((name) => !name.startsWith("Namespace/")).sort()).toEqual([
        "Service/default/kubernetes",
        key("a"),
      ]);
      await put("b", "b.example.com", { tier: "front" });
      await follower.until((state) => state.resources.has(key("b")));
      await put("a", "a.example.com", { tier: "back" });
      await follower.until((state) => !state.resources.has(key("a")));
      await source.close();
      const elsewhere = await start({ namespaces: ["kube-system"], kinds: ["ServiceEntry", "Service"] });
      expect(elsewhere.resources.size).toBe(0);
    });

    test("has of secrets those with certificates alone", async () => {
      const secret = (name: string, type: string, data: Record<string, string>) =>
        cluster.client.apply(
          typeOf("Secret"),
          { namespace: "default", name },
          { apiVersion: "v1", kind: "Secret", metadata: { name }, type, stringData: data },
          { fieldManager: "test" },
        );
      const { certificate, privateKey } = await (await createAuthority("a")).issue(["a.example.com"]);
      await secret("tls", "kubernetes.io/tls", { "tls.crt": certificate, "tls.key": privateKey });
      await secret("generic", "Opaque", { cert: certificate, key: privateKey });
      await secret("password", "Opaque", { password: "hidden" });
      await secret("other", "example.com/other", { cert: certificate });
      const state = await start({ kinds: ["Secret"] });
      expect([...state.resources.keys()].sort()).toEqual(["Secret/default/generic", "Secret/default/tls"]);
      expect(source.object("Secret/default/password")).toMatchObject({ name: "password" });
    });

    test("takes a list in whose objects are together larger than an answer may be", async () => {
      const { certificate, privateKey } = await (await createAuthority("a")).issue(["a.example.com"]);
      const padding = "x".repeat(900_000);
      const stringData = { "tls.crt": certificate, "tls.key": privateKey, padding };
      const names = Array.from({ length: 9 }, (_, index) => `large-${index}`);
      const secret = (name: string) => ({ metadata: { name }, type: "kubernetes.io/tls", stringData });
      for (const name of names) await cluster.client.create(typeOf("Secret"), secret(name), "default");
      await expect(cluster.client.list(typeOf("Secret"))).rejects.toMatchObject({ reason: "TooLarge" });
      const state = await start({ kinds: ["Secret"] });
      expect(names.filter((name) => !state.resources.has(`Secret/default/${name}`))).toEqual([]);
      for (const name of names) await cluster.client.delete(typeOf("Secret"), { namespace: "default", name });
    });

    test("forgets pods that are done", async () => {
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "job" },
        spec: { containers: [{ name: "a", image: "a" }] },
      };
      const at = { namespace: "default", name: "job" };
      await cluster.client.create(typeOf("Pod"), pod, "default");
      const first = await start({ kinds: ["Pod"] });
      expect(first.resources.has("Pod/default/job")).toBe(true);
      await cluster.client.merge(typeOf("Pod"), at, { status: { phase: "Succeeded" } }, { subresource: "status" });
      await follower.until((state) => state.resources.size === 0);
      await cluster.client.delete(typeOf("Pod"), at);
    });

    test("tells which kind it may not read, serves the others, and follows it as soon as it may", async () => {
      await put("a", "a.example.com");
      const account = await createAccount(scope, cluster, "reader");
      await permit(cluster, account, "networking.istio.io", "virtualservices");
      const notices: string[] = [];
      const kinds = ["ServiceEntry", "VirtualService"] as const;
      const onNotice = (notice: string) => void notices.push(notice);
      const first = await start({ client: account.client, kinds, mostBackoffMs: 500, onNotice });
      expect(first.resources.size).toBe(0);
      expect(first.violations).toMatchObject([{ code: "kind-unreadable", kind: "ServiceEntry" }]);
      expect(notices.join()).toContain("cannot follow ServiceEntry");
      await permit(cluster, account, "networking.istio.io", "serviceentries");
      const regained = await follower.until((state) => state.resources.has(key("a")));
      expect((await follower.until((state) => state.violations.length === 0)).resources).toEqual(regained.resources);
      await eventually("it is told", () => notices.includes("every kind is followed again"));

      await forbid(cluster, account, "serviceentries");
      // A watch that is open goes on; it is the next one that is refused.
      await cluster.apiServer.kill();
      await cluster.apiServer.start();
      const lost = await follower.until((state) => state.violations.length > 0);
      expect(lost.resources.has(key("a"))).toBe(true);
      await put("a", "other.example.com");
      await permit(cluster, account, "networking.istio.io", "serviceentries");
      await follower.until((state) => hostOf(state, "a") === "other.example.com" && state.violations.length === 0);
    });

    test("waits for a cluster that cannot be reached, until it is told to stop", async () => {
      const kubeconfig = await cluster.writeKubeconfig("gone", { server: "https://127.0.0.1:1", user: { token: "t" } });
      const client = scope.use(await KubeClient.connect({ kubeconfig }));
      const notices: string[] = [];
      const stop = new AbortController();
      source = createSource({ client, signal: stop.signal, onNotice: (notice) => void notices.push(notice) });
      const starting = source.start(() => {});
      await eventually("it is told", () => notices.some((notice) => notice.includes("ECONNREFUSED")));
      stop.abort();
      await expect(starting).rejects.toThrow("Stopped");
    });
  });
});
