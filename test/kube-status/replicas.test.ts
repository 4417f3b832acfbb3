// Replicas that tell one cluster what became of its policies: they count together, and when one is killed another goes on.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import type { KubeType } from "../../controlplane/kube/object.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { installDefinitions, typeOf } from "../kube/support/custom-resources.js";
import { conditionBegins, eventsOn } from "./support/statuses.js";

const LEASES: KubeType = { group: "coordination.k8s.io", version: "v1", plural: "leases" };
const ACCOUNTS: KubeType = { group: "", version: "v1", plural: "serviceaccounts" };

describe.skipIf("error" in kubeBinaries)("replicas of headgate serve --kube-status", () => {
  const scope = testScope();
  let cluster: Cluster;
  let kubeconfig: string;
  let survivor: ServeProcess;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
    // The account that is shipped is enough for it.
    await cluster.kubectl(["apply", "-f", join(process.cwd(), "deploy", "kubernetes", "rbac.yaml")]);
    const at = { namespace: "headgate-system", name: "headgate" };
    const request = { spec: { expirationSeconds: 3_600 } };
    const made = await cluster.client.createUnder(ACCOUNTS, at, request, { subresource: "token" });
    const { token } = made.status as { token: string };
    kubeconfig = await cluster.writeKubeconfig("headgate.kubeconfig", { user: { token } });
  });

  const serve = () =>
    startServe(scope, [
      ...["--kube", "--kubeconfig", kubeconfig, "--kube-status"],
      ...["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    ]);
  const apply = (yaml: string) => cluster.kubectl(["apply", "-f", "-"], yaml);
  const leases = async () => (await cluster.client.list(LEASES, { namespace: "headgate-system" })).items;

  async function startSidecar({ ads }: ServeProcess, name: string): Promise<void> {
    const address = await loopbackAddress(scope);
    const identity = { role: "sidecar", name, namespace: "default", labels: { app: name } } as const;
    const node = { ...identity, addresses: [address] as const, interceptionMode: "NONE", unprivileged: true } as const;
    const [host = "", port = ""] = ads.split(":");
    await startTestEnvoy(scope, createBootstrap(node, { ads: { host, port: Number(port) } }));
  }

  test("count the proxies of all of them; when the one that writes is killed, another does, and what stands is not written again", async () => {
    await apply(entry("a", "a.example.com") + entry("refused", "not a host"));
    const first = await serve();
    await conditionBegins(cluster, ["ServiceEntry", "a"], "Reconciled", "True NoProxies");
    const second = await serve();
    survivor = second;
    await Promise.all([startSidecar(first, "one"), startSidecar(second, "two"), startSidecar(second, "three")]);
    await conditionBegins(cluster, ["ServiceEntry", "a"], "Reconciled", "True Acknowledged: 3 of 3 proxies");
    const { object } = await conditionBegins(cluster, ["ServiceEntry", "refused"], "Accepted", "False invalid-host");
    expect((await leases()).map(({ metadata }) => metadata.name?.replace(/replica-.*/, "replica")).sort()).toEqual([
      "headgate",
      "headgate-replica",
    ]);

    // The Envoy that rejects it is the other replica's.
    await apply(UNBINDABLE);
    const rejected = await conditionBegins(cluster, ["Sidecar", "two"], "Reconciled", "False Rejected: 0 of 1 proxies");
    expect(rejected.conditions.Reconciled).toContain("cannot bind");
    await eventually("there is an event", async () => (await eventsOn(cluster, "Sidecar", "two")).length === 1);
    await cluster.kubectl(["delete", "sidecar", "two"]);

    await first.kill();
    await apply(entry("b", "b.example.com"));
    await conditionBegins(cluster, ["ServiceEntry", "b"], "Reconciled", "True Acknowledged: 2 of 2 proxies", 40_000);
    expect((await leases()).map(({ metadata }) => metadata.name)).toEqual(["headgate"]);
    const now = await cluster.client.get(typeOf("ServiceEntry"), { namespace: "default", name: "refused" });
    expect(now?.metadata.resourceVersion).toBe(object.metadata.resourceVersion);
    const [event, ...others] = await eventsOn(cluster, "ServiceEntry", "refused");
    expect([event?.reason, event?.series, others]).toEqual(["Refused", undefined, []]);
  });

  test("give the lease back when they end in order, and keep no reports of one that leads, or is gone", async () => {
    const third = await serve();
    const holder = async () => {
      const found = (await leases()).find(({ metadata }) => metadata.name === "headgate");
      return (found?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
    };
    const before = await holder();
    await eventually("it tells of itself", async () => (await leases()).length === 2);
    process.kill(survivor.pid, "SIGTERM");
    await eventually("it leads", async () => ![before, undefined].includes(await holder()));
    await eventually("its report is gone", async () => (await leases()).length === 1);
    process.kill(third.pid, "SIGTERM");
    await eventually("nobody leads", async () => (await holder()) === undefined);
  });
});

const UNBINDABLE = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: two, namespace: default}
spec:
  workloadSelector: {labels: {app: two}}
  ingress: [{port: {number: 9080, protocol: HTTP, name: http}, bind: 203.0.113.1}]
`;

function entry(name: string, host: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${host}], resolution: STATIC, ports: [{number: 9080, name: http, protocol: HTTP}]}
---
`;
}
