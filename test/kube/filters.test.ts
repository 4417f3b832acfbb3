// Versions of filters and rollouts on a real API server: the behaviour of every store, and what several replicas make of it.
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import { ClusterVersions, CONFIG_MAPS } from "../../controlplane/registry/cluster-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { ClusterRollouts } from "../../controlplane/rollout/cluster-rollouts.js";
import { createClusterStorage, createFollowedStorage } from "../../controlplane/rollout/cluster-storage.js";
import type { RolloutState } from "../../controlplane/rollout/plan.js";
import { NO_FIGURES, type Report } from "../../controlplane/rollout/report.js";
import { type FollowedStorage, versionsInUse } from "../../controlplane/rollout/storage.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { testVersionStore } from "../registry/store-suite.js";
import { testRolloutStore } from "../rollout/store-suite.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installDefinitions } from "./support/custom-resources.js";
import { tamperWith } from "./support/stored-versions.js";

const NAMESPACES = { group: "", version: "v1", plural: "namespaces" };

describe.skipIf("error" in kubeBinaries)("on a cluster,", () => {
  const scope = testScope();
  let cluster: Cluster;
  let namespaces = 0;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
  });

  async function newNamespace(): Promise<string> {
    const name = `filters-${++namespaces}`;
    await cluster.client.create(NAMESPACES, { metadata: { name } });
    return name;
  }
  const objects = async (namespace: string) => (await cluster.client.list(CONFIG_MAPS, { namespace })).items;

  testVersionStore("a cluster", async () => {
    const namespace = await newNamespace();
    const versions = new ClusterVersions(cluster.client, namespace);
    return {
      versions,
      damage: (name, version, what) => tamperWith(cluster.client, namespace, { name, version, what }),
      async leaveUnfinished() {
        const metadata = { name: "filter-chunk-0123456789abcdef-0", labels: { "headgate.dev/filters": "chunk" } };
        await cluster.client.create(CONFIG_MAPS, { metadata, binaryData: { bytes: "aGFsZg==" } }, namespace);
      },
      count: async () => (await objects(namespace)).length,
    };
  });

  let rolloutsIn = "";
  testRolloutStore(
    "a cluster",
    async (kept) =>
      new ClusterRollouts({
        ...{ client: cluster.client, namespace: rolloutsIn },
        ...(kept === undefined ? {} : { kept }),
      }),
    async () => {
      rolloutsIn = await newNamespace();
    },
  );

  test("the API server itself keeps versions from being changed", async () => {
    const namespace = await newNamespace();
    const registry = new FilterRegistry(new ClusterVersions(cluster.client, namespace));
    await registry.push({ name: "a", version: "1", by: "a test", wasm: sameFilter("1"), thread: TRIAL_THREAD });
    for (const { metadata } of await objects(namespace)) {
      const at = { namespace, name: metadata.name as string };
      await expect(cluster.client.merge(CONFIG_MAPS, at, { data: { x: "y" } })).rejects.toMatchObject({ status: 422 });
    }
  });

  test("an object in place of a rollout that holds none is told, and is no rollout", async () => {
    const namespace = await newNamespace();
    const rollouts = new ClusterRollouts({ client: cluster.client, namespace });
    const metadata = { name: "filter-rollout-000001", labels: { "headgate.dev/filters": "rollout" } };
    await cluster.client.create(CONFIG_MAPS, { metadata, data: { plan: '{"filter":"f"}' } }, namespace);
    await expect(rollouts.list()).rejects.toThrow("the ConfigMap filter-rollout-000001 holds no rollout");
    const plan = JSON.stringify({ id: "1", ...PLAN });
    await cluster.client.merge(CONFIG_MAPS, { namespace, name: metadata.name }, { data: { plan, state: "no JSON" } });
    await expect(rollouts.list()).rejects.toThrow("holds no rollout");
  });

  test("versions that policies of any namespace name are in use", async () => {
    const namespace = await newNamespace();
    const storage = createClusterStorage({ client: cluster.client, namespace });
    await cluster.kubectl(["apply", "-f", "-"], POLICIES);
    await storage.rollouts.create({ ...PLAN, filter: "a", version: "4" });
    expect([...(await versionsInUse(storage, "a"))].sort()).toEqual([
      ["1", "WasmPlugin default/plugin"],
      ["2", "TrafficExtension kube-public/extension"],
      ["4", "rollout 000001"],
    ]);
    expect(await versionsInUse(storage, "c")).toEqual(new Map());
  });

  describe("replicas", () => {
    let namespace: string;
    const notices: string[] = [];
    afterEach(() => notices.splice(0));

    async function follow(client = cluster.client): Promise<FollowedStorage> {
      const storage = createFollowedStorage({ client, namespace, onNotice: (notice) => notices.push(notice) });
      scope.use(storage.peers);
      await storage.peers.start();
      return storage;
    }
    const report = (more: Partial<Report> = {}): Report => ({
      step: 0,
      canaries: 1,
      heldMillis: 7,
      late: new Map([[Number.POSITIVE_INFINITY, 3]]),
      canary: {
        ...NO_FIGURES,
        requests: 9,
        durations: new Map([
          [5, 2],
          [Number.POSITIVE_INFINITY, 9],
        ]),
      },
      others: NO_FIGURES,
      before: NO_FIGURES,
      ranking: { count: 300, lowest: Array.from({ length: 300 }, (_, i) => i / 300) },
      ...more,
    });

    test("see at once what one of them has written, and what commands ask for as soon as they are told", async () => {
      namespace = await newNamespace();
      const [one, other] = [await follow(), await follow()];
      const commands = createClusterStorage({ client: cluster.client, namespace }).rollouts;
      const plan = await commands.create(PLAN);
      for (const { rollouts } of [one, other]) {
        await eventually("they know the rollout", async () => (await rollouts.list()).length === 1);
      }
      await one.rollouts.saveState(plan.id, STATE);
      expect(await one.rollouts.list()).toEqual([{ plan, state: STATE }]);
      await eventually("the other knows", async () => (await other.rollouts.list())[0]?.state !== undefined);
      expect(await other.rollouts.list()).toEqual([{ plan, state: STATE }]);
    });

    test("cannot move a rollout on from a state that another one has already left", async () => {
      namespace = await newNamespace();
      const plan = await createClusterStorage({ client: cluster.client, namespace }).rollouts.create(PLAN);
      const [one, other] = [await follow(), await follow()];
      for (const { rollouts } of [one, other]) expect(await rollouts.list()).toHaveLength(1);
      // What the other one has listed is from before this.
      await one.rollouts.saveState(plan.id, STATE);
      const back: RolloutState = { ...STATE, phase: "rolled-back" };
      await expect(other.rollouts.saveState(plan.id, back)).rejects.toThrow("another control plane has moved");
      expect(await one.rollouts.list()).toEqual([{ plan, state: STATE }]);
    });

    test("hear what the others see of a rollout while it is under way, and one of them leads", async () => {
      namespace = await newNamespace();
      const [one, other] = [await follow(), await follow()];
      const { id } = await createClusterStorage({ client: cluster.client, namespace }).rollouts.create(PLAN);
      await eventually("both know it", async () => (await other.rollouts.list()).length === 1);
      one.peers.tell(id, report({ failure: "x rejected it" }));
      const [heard] = await eventually("the other hears it", () => {
        const all = other.peers.heard(id);
        return all.length > 0 && all;
      });
      expect(heard).toEqual(
        report({ failure: "x rejected it", ranking: { count: 300, lowest: report().ranking.lowest.slice(0, 200) } }),
      );
      expect(one.peers.heard(id)).toEqual([]);
      for (const { peers } of [one, other]) peers.seek();
      await eventually("one leads", () => one.peers.leads !== other.peers.leads);

      await other.rollouts.list();
      await other.rollouts.saveState(id, { ...STATE, phase: "completed" });
      expect(other.peers.heard(id)).toEqual([]);
      expect(notices).toEqual([]);
    });

    test("keep what they know while the server is away, and catch up", async () => {
      namespace = await newNamespace();
      const relay = await startRelay(scope, Number(new URL(cluster.server).port));
      const server = `https://127.0.0.1:${relay.port}`;
      const kubeconfig = await cluster.writeKubeconfig("relayed", { server, user: { token: cluster.token } });
      const commands = createClusterStorage({ client: cluster.client, namespace }).rollouts;
      const first = await commands.create(PLAN);
      const { rollouts } = await follow(scope.use(await KubeClient.connect({ kubeconfig })));
      expect(await rollouts.list()).toHaveLength(1);
      relay.refuse(true);
      relay.cut();
      const second = await commands.create(PLAN);
      await eventually("it is told", () => notices.length > 0);
      expect((await rollouts.list()).map(({ plan }) => plan)).toEqual([first]);
      relay.refuse(false);
      await eventually("it catches up", async () => (await rollouts.list()).length === 2);
      expect((await rollouts.list())[1]?.plan).toEqual(second);
      expect(notices.at(-1)).toContain("no longer");
    });
  });
});

const PLAN = { filter: "f", version: "v", selector: {}, steps: [0.5, 1], holdMillis: 0, at: "", by: "a test" };
const STATE: RolloutState = { phase: "rolling", step: 0, reached: 0.5, changedAt: "2026-01-01T00:00:00.000Z" };

const POLICIES = `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: plugin, namespace: default}
spec: {url: "headgate://a@1"}
---
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: extension, namespace: kube-public}
spec: {wasm: {url: "headgate://a@2"}}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: of-another, namespace: default}
spec: {url: "headgate://b@3"}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: unpinned, namespace: default}
spec: {url: "headgate://a"}
`;
