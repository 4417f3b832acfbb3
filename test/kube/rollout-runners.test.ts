// Several replicas that carry a rollout out together on a real API server, each with proxies of its own that only answer.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ClusterVersions } from "../../controlplane/registry/cluster-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { createClusterStorage, createFollowedStorage } from "../../controlplane/rollout/cluster-storage.js";
import { Observations } from "../../controlplane/rollout/observations.js";
import type { Acknowledgement } from "../../controlplane/rollout/reporter.js";
import { RolloutRunner } from "../../controlplane/rollout/runner.js";
import type { FilterStorage } from "../../controlplane/rollout/storage.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { tamperWith } from "./support/stored-versions.js";

const NAMESPACES = { group: "", version: "v1", plural: "namespaces" };

interface Replica {
  readonly runner: RolloutRunner;
  /** What its proxies have answered. */
  answer: Acknowledgement;
  readonly faults: string[];
  readonly leads: () => boolean;
  end(): Promise<void>;
}

describe.skipIf("error" in kubeBinaries)("replicas on a cluster", () => {
  const scope = testScope();
  let cluster: Cluster;
  let namespace: string;
  let commands: FilterStorage;
  let count = 0;
  let replicas: Replica[] = [];

  beforeAll(async () => {
    cluster = await startCluster(scope);
  });
  beforeEach(async () => {
    namespace = `runners-${++count}`;
    await cluster.client.create(NAMESPACES, { metadata: { name: namespace } });
    commands = createClusterStorage({ client: cluster.client, namespace });
    const registry = new FilterRegistry(new ClusterVersions(cluster.client, namespace));
    const request = { name: "f", version: "1", by: "a test", wasm: sameFilter("1"), thread: TRIAL_THREAD };
    expect(await registry.push(request)).toHaveProperty("value");
  });
  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.end()));
    replicas = [];
  });

  async function startReplica(name: string, proxyCount: number): Promise<Replica> {
    const faults: string[] = [];
    const storage = createFollowedStorage({ client: cluster.client, namespace, onNotice: (text) => faults.push(text) });
    const proxies = Array.from({ length: proxyCount }, (_, i) => ({ id: `${name}-${i}`, labels: {} }));
    const replica: Replica = {
      answer: { acknowledged: true },
      faults,
      leads: () => storage.peers.leads,
      runner: new RolloutRunner({
        storage,
        observations: new Observations(),
        proxies: () => proxies,
        namesOf: () => [],
        acknowledgement: () => replica.answer,
        now: () => performance.now(),
        republish: () => {},
        onFault: (error) => faults.push(String(error)),
      }),
      async end() {
        await replica.runner.close();
        await storage.peers.close();
      },
    };
    await storage.peers.start();
    await replica.runner.start();
    replicas.push(replica);
    return replica;
  }

  const use = (steps: readonly number[]) =>
    commands.rollouts.create({ filter: "f", version: "1", selector: {}, steps, holdMillis: 100, at: "", by: "a test" });
  const stateOf = async () => (await commands.rollouts.list())[0]?.state;
  const given = ({ runner }: Replica, name: string, of: number) =>
    Array.from({ length: of }, (_, i) => runner.versionFor("f", { id: `${name}-${i}`, labels: {} })).filter(
      (version) => version === "1",
    ).length;

  test("give a step's share of all their proxies the version, and go on when all of those have answered", async () => {
    const [a, b] = [await startReplica("a", 10), await startReplica("b", 30)];
    b.answer = { acknowledged: false };
    a.answer = { acknowledged: false };
    await use([0.1, 1]);
    await eventually("the first step has begun", async () => (await stateOf())?.step === 0);
    await eventually("both have heard", () => [a, b].every(({ runner }) => runner.rollouts[0]?.state !== undefined));
    expect(given(a, "a", 10) + given(b, "b", 30)).toBe(4);
    expect(given(b, "a", 10)).toBe(given(a, "a", 10));
    a.answer = { acknowledged: true };
    b.answer = { acknowledged: true };
    await eventually("it is completed", async () => (await stateOf())?.phase === "completed", 30_000);
    await eventually("all have it", () => given(a, "a", 10) + given(b, "b", 30) === 40);
    expect([a.faults, b.faults]).toEqual([[], []]);
  });

  test("go back when a proxy rejects the version, whichever of them it is connected to", async () => {
    for (const rejected of ["a", "b"]) {
      const all = { a: await startReplica("a", 1), b: await startReplica("b", 1) };
      for (const replica of Object.values(all)) replica.answer = { acknowledged: false };
      const { id } = await use([1]);
      const state = async () => (await commands.rollouts.list()).find(({ plan }) => plan.id === id)?.state;
      await eventually("the step has begun", async () => (await state())?.step === 0);
      const rejection = { message: "no such thing", at: Date.now() + 60_000 };
      all[rejected as "a" | "b"].answer = { acknowledged: false, rejection };
      await eventually("it goes back", async () => (await state())?.phase === "rolled-back", 30_000);
      expect((await state())?.reason).toBe(`${rejected}-0 rejected it: no such thing`);
      for (const replica of Object.values(all)) await replica.end();
    }
  });

  test("go back when one of them cannot have the module, though the one that leads has it", async () => {
    const a = await startReplica("a", 1);
    a.answer = { acknowledged: false };
    await use([1]);
    await eventually("the step has begun", async () => (await stateOf())?.step === 0);
    await tamperWith(cluster.client, namespace, { name: "f", version: "1", what: "module" });
    const b = await startReplica("b", 1);
    await eventually("it goes back", async () => (await stateOf())?.phase === "rolled-back");
    expect((await stateOf())?.reason).toContain("not the one that was pushed");
    expect(b.faults).toEqual([expect.stringContaining("not the one that was pushed")]);
    expect(given(b, "b", 1)).toBe(0);
  });

  test("go on without one that is gone", async () => {
    const [a, b] = [await startReplica("a", 1), await startReplica("b", 1)];
    for (const replica of [a, b]) replica.answer = { acknowledged: false };
    await use([1]);
    await eventually("the step has begun", async () => (await stateOf())?.step === 0);
    await eventually("one leads", () => a.leads() !== b.leads());
    const [leader, other] = a.leads() ? [a, b] : [b, a];
    leader.answer = { acknowledged: true };
    await other.end();
    await eventually("it is completed", async () => (await stateOf())?.phase === "completed", 30_000);
    expect(leader.faults).toEqual([]);
  });
});
