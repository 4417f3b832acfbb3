// A Lease on a real API server: who leads, and who does when the leader is gone, cut off or forbidden.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import { Lease, type LeaseOptions } from "../../controlplane/kube/lease.js";
import { type Relay, startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { createAccount } from "./support/accounts.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";

const LEASES = { group: "coordination.k8s.io", version: "v1", plural: "leases" };

describe.skipIf("error" in kubeBinaries)("a lease", () => {
  const scope = testScope();
  let cluster: Cluster;
  /** What happened, over all contestants: "a leads", "a follows". */
  let log: string[];
  let count = 0;
  let name: string;

  beforeAll(async () => {
    cluster = await startCluster(scope);
  });
  beforeEach(() => {
    log = [];
    name = `lease-${++count}`;
  });

  function contest(identity: string, options: Partial<LeaseOptions> = {}): Lease {
    const all = { client: cluster.client, namespace: "default", name, identity, seconds: 1, ...options };
    const lease = scope.use(new Lease(all));
    lease.follow((leads) => void log.push(`${identity} ${leads ? "leads" : "follows"}`));
    log.pop();
    lease.start();
    return lease;
  }

  async function throughRelay(): Promise<{ relay: Relay; client: KubeClient }> {
    const relay = await startRelay(scope, Number(new URL(cluster.server).port));
    const server = `https://127.0.0.1:${relay.port}`;
    const kubeconfig = await cluster.writeKubeconfig(`relayed-${name}`, { server, user: { token: cluster.token } });
    return { relay, client: scope.use(await KubeClient.connect({ kubeconfig })) };
  }

  const read = async () => (await cluster.client.get(LEASES, { namespace: "default", name }))?.spec;
  const renewal = async () => ((await read()) as { renewTime: string }).renewTime;

  test("is led by one of several that ask at once, which renews it", async () => {
    const all = ["a", "b", "c"].map((identity) => contest(identity, { seconds: 4 }));
    await eventually("one leads", () => all.some(({ leads }) => leads));
    const first = await renewal();
    await eventually("it is renewed", async () => (await renewal()) !== first);
    expect(all.filter(({ leads }) => leads)).toHaveLength(1);
    expect(log).toHaveLength(1);
    expect(await read()).toMatchObject({
      holderIdentity: log[0]?.split(" ")[0],
      leaseDurationSeconds: 4,
      leaseTransitions: 1,
    });
  });

  test("goes to another at once when its leader closes, and stays away from one that has closed", async () => {
    const a = contest("a", { seconds: 60 });
    await eventually("a leads", () => a.leads);
    await a.close();
    expect(a.leads).toBe(false);
    expect(await read()).not.toHaveProperty("holderIdentity");
    const b = contest("b", { seconds: 60 });
    await eventually("b leads", () => b.leads);
    expect(await read()).toMatchObject({ holderIdentity: "b", leaseTransitions: 2 });
    expect(log).toEqual(["a leads", "a follows", "b leads"]);
  });

  test("is given up by a leader that reaches nobody, before another takes it", async () => {
    const { relay, client } = await throughRelay();
    const faults: (number | undefined)[] = [];
    const a = contest("a", { client, onFault: (fault) => void faults.push(fault?.status) });
    await eventually("a leads", () => a.leads);
    // A renewal of its own that comes late is no part of this.
    const b = contest("b", { seconds: 4 });
    relay.refuse(true);
    relay.cut();
    await eventually("b leads", () => b.leads);
    expect(log).toEqual(["a leads", "a follows", "b leads"]);
    relay.refuse(false);
    await eventually("a is told that it is over", () => faults.length > 1 && faults.at(-1) === undefined);
    expect([a.leads, b.leads]).toEqual([false, true]);
    expect(new Set(faults)).toEqual(new Set([0, undefined]));
  });

  test("is kept over a fault that is shorter than its time", async () => {
    const { relay, client } = await throughRelay();
    const a = contest("a", { client, seconds: 4 });
    await eventually("a leads", () => a.leads);
    const before = await renewal();
    relay.cut();
    await eventually("it is renewed", async () => (await renewal()) !== before);
    expect(log).toEqual(["a leads"]);
  });

  test("is made again when somebody deletes it", async () => {
    const a = contest("a", { seconds: 4 });
    await eventually("a leads", () => a.leads);
    await cluster.client.delete(LEASES, { namespace: "default", name });
    await eventually("it is there again", async () => (await read()) !== undefined);
    expect(a.leads).toBe(true);
  });

  test("is taken from a leader that somebody has put another in the place of", async () => {
    const a = contest("a");
    await eventually("a leads", () => a.leads);
    const spec = { holderIdentity: "b", leaseDurationSeconds: 3_600 };
    await cluster.client.merge(LEASES, { namespace: "default", name }, { spec });
    await eventually("a follows", () => !a.leads);
    await eventually("it was told", () => log.at(-1) === "a follows");
    expect(await read()).toMatchObject(spec);
  });

  test("is led by nobody who may not write it, and that is told once", async () => {
    const account = await createAccount(scope, cluster, "nobody");
    const faults: (number | undefined)[] = [];
    const onFault: LeaseOptions["onFault"] = (fault) => void faults.push(fault?.status);
    // A quarter of it is what a request may take.
    const a = contest("a", { client: account.client, seconds: 60, onFault });
    await eventually("it is told", () => faults.length > 0);
    await a.close();
    expect(a.leads).toBe(false);
    expect(faults).toEqual([403]);
  });
});
