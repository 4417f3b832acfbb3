// What a cluster is told of its policies, with a real API server and real Envoys.
import { beforeAll, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import { startTestMesh, type TestMesh } from "../harness/mesh.js";
import { createScope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { installDefinitions, typeOf } from "../kube/support/custom-resources.js";
import { conditionBegins, eventsOn, statusOf } from "./support/statuses.js";

const LEASES = { group: "coordination.k8s.io", version: "v1", plural: "leases" };

describe.skipIf("error" in kubeBinaries)("a cluster is told", () => {
  const scope = testScope();
  let cluster: Cluster;
  let mesh: TestMesh;
  let states = 0;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
    await apply(SERVICES);
    mesh = await startTestMesh(scope, {
      kubernetes: { client: cluster.client },
      kubeStatus: { lease: { namespace: "default", name: "headgate" }, identity: "a", roundMs: 50, leaseSeconds: 2 },
      onState: () => void states++,
    });
    await mesh.startProxy({ name: "client", labels: { app: "client" } });
    await mesh.startProxy({ name: "gateway", role: "router", labels: { istio: "ingressgateway" } });
  });

  const apply = (yaml: string) => cluster.kubectl(["apply", "-f", "-"], yaml);
  const refused = rule("refused", "  - {name: all, route: [{destination: {host: shop}, weight: -1}]}");
  const mended = rule("refused", "  - {name: all, route: [{destination: {host: shop}}]}");

  test("that a policy is accepted, and how many of the proxies that it concerns have acknowledged it", async () => {
    await apply(mended.replaceAll("refused", "accepted"));
    const { object, conditions } = await conditionBegins(
      cluster,
      ["VirtualService", "accepted"],
      "Reconciled",
      "True Acknowledged: 1 of 1 proxies",
    );
    expect(conditions).toMatchObject({
      Accepted: "True Accepted: It has no errors.",
      PassedAnalysis: "True NothingFound: Nothing was found.",
    });
    expect(object.status).toMatchObject({ observedGeneration: 1, validationMessages: [] });
    // A sidecar and a gateway, the gateway alone, and nobody.
    const of = (count: number) => `True Acknowledged: ${count} of ${count} proxies`;
    await conditionBegins(cluster, ["ServiceEntry", "shop"], "Reconciled", of(2));
    await apply(GATEWAY);
    await conditionBegins(cluster, ["Gateway", "front"], "Reconciled", of(1));
    await apply(GROUP);
    await conditionBegins(cluster, ["WorkloadGroup", "shop"], "Reconciled", "True NoProxies");
  });

  test("why a policy is refused, by its conditions and one event, and when it is mended", async () => {
    await apply(refused);
    const { object, conditions } = await conditionBegins(
      cluster,
      ["VirtualService", "refused"],
      "Accepted",
      "False invalid-weight: spec.http[0].route[0].weight: ",
    );
    expect(conditions.Reconciled).toMatch(/^False NotAccepted/);
    expect(object.status).toMatchObject({
      validationMessages: [{ type: { code: "invalid-weight" }, level: "ERROR", path: "spec.http[0].route[0].weight" }],
    });
    const [event] = await eventually("there is an event", async () => {
      const events = await eventsOn(cluster, "VirtualService", "refused");
      return events.length > 0 && events;
    });
    expect(event).toMatchObject({
      type: "Warning",
      reason: "Refused",
      action: "Validate",
      note: expect.stringContaining("invalid-weight: spec.http[0].route[0].weight"),
      regarding: { uid: object.metadata.uid },
    });

    await apply(mended);
    const now = await conditionBegins(cluster, ["VirtualService", "refused"], "Accepted", "True");
    expect(now.object.status).toMatchObject({ observedGeneration: 2, validationMessages: [] });

    await apply(refused);
    await conditionBegins(cluster, ["VirtualService", "refused"], "Accepted", "False");
    await eventually("it is counted on the event that is there", async () => {
      const events = await eventsOn(cluster, "VirtualService", "refused");
      return events.length === 1 && (events[0]?.series as { count?: number } | undefined)?.count === 2;
    });
    expect(await cluster.kubectl(["get", "vs"])).toMatch(/ACCEPTED +RECONCILED +AGE\n(.*\n)*refused .* False +False +/);
    await apply(mended);
    await conditionBegins(cluster, ["VirtualService", "refused"], "Reconciled", "True");
  });

  test("what a policy lacks for what it refers to, and that it no longer does", async () => {
    await apply(rule("lacking", "  - {name: all, route: [{destination: {host: nobody.example.com}}]}"));
    const { object } = await conditionBegins(
      cluster,
      ["VirtualService", "lacking"],
      "PassedAnalysis",
      "False unknown-host: spec.http[0].route[0].destination.host: ",
    );
    expect(object.status).toMatchObject({ validationMessages: [{ type: { code: "unknown-host" } }] });
    await apply(entry("nobody"));
    await conditionBegins(cluster, ["VirtualService", "lacking"], "PassedAnalysis", "True");
    await apply(PLUGIN);
    await conditionBegins(cluster, ["WasmPlugin", "absent"], "PassedAnalysis", "False unknown-module: ");
    await conditionBegins(cluster, ["WasmPlugin", "absent"], "Reconciled", "True Acknowledged: 1 of 1");
    await cluster.kubectl(["delete", "wasmplugin", "absent"]);
  });

  test("that an Envoy rejected what came of a policy, with its words, and that it did not", async () => {
    await apply(GATEWAY.replace("name: http", "name: http}, bind: 203.0.113.1, unused: {a: b"));
    await conditionBegins(cluster, ["Gateway", "front"], "Accepted", "False unknown-field");
    await apply(GATEWAY.replace("hosts:", "bind: 203.0.113.1, hosts:"));
    const { conditions } = await conditionBegins(
      cluster,
      ["Gateway", "front"],
      "Reconciled",
      "False Rejected: 0 of 1 proxies have acknowledged it. 1 rejected it: ",
    );
    expect(conditions.Reconciled).toContain("cannot bind");
    const events = await eventually("there is an event", async () => {
      const events = await eventsOn(cluster, "Gateway", "front");
      return events.some(({ reason }) => reason === "RejectedByProxy") && events;
    });
    expect(events.find(({ reason }) => reason === "RejectedByProxy")).toMatchObject({
      action: "Push",
      note: expect.stringContaining("cannot bind"),
    });
    expect((await statusOf(cluster, "ServiceEntry", "shop"))?.conditions.Reconciled).toMatch(/^True/);
    await apply(GATEWAY);
    await conditionBegins(cluster, ["Gateway", "front"], "Reconciled", "True Acknowledged: 1 of 1");
  });

  test("that a policy is not served while a directory has one of its name", async () => {
    await mesh.apply("here.yaml", mended.replaceAll("refused", "accepted"));
    const { conditions } = await conditionBegins(
      cluster,
      ["VirtualService", "accepted"],
      "Accepted",
      "False duplicate-object: metadata.name: ",
    );
    expect(conditions.Reconciled).toMatch(/^False NotAccepted/);
    await mesh.remove("here.yaml");
    await conditionBegins(cluster, ["VirtualService", "accepted"], "Reconciled", "True Acknowledged: 1 of 1");
  });

  test("nothing more while nothing changes, and what it is told changes nothing", async () => {
    const all = async () => {
      const lists = await Promise.all(
        (["VirtualService", "ServiceEntry", "Gateway", "WorkloadGroup"] as const).map((kind) =>
          cluster.client.list(typeOf(kind)),
        ),
      );
      const items = lists.flatMap(({ items }) => items);
      return items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
    };
    const renewed = async () => {
      const lease = await cluster.client.get(LEASES, { namespace: "default", name: "headgate" });
      return (lease?.spec as { renewTime?: string } | undefined)?.renewTime;
    };
    const [before, statesBefore] = [await all(), states];
    // As long as it takes to renew the lease several times, there are many rounds.
    for (let times = 0; times < 3; times++) {
      const last = await renewed();
      await eventually("the lease is renewed", async () => (await renewed()) !== last);
    }
    expect(await all()).toEqual(before);
    // A status of somebody's own is no change either.
    await cluster.client.merge(
      typeOf("ServiceEntry"),
      { namespace: "default", name: "shop" },
      { status: { theirs: "x" } },
      { subresource: "status" },
    );
    await apply(entry("last"));
    await conditionBegins(cluster, ["ServiceEntry", "last"], "Reconciled", "True");
    expect(states).toBe(statesBefore + 1);
  });

  test("how many have acknowledged a policy while an Envoy does not answer, and that it did", async () => {
    const silent = await mesh.startProxy({ name: "silent", labels: { app: "silent" } });
    await conditionBegins(cluster, ["ServiceEntry", "last"], "Reconciled", "True Acknowledged: 3 of 3");
    process.kill(silent.process.pid as number, "SIGSTOP");
    await apply(rule("late", "  - {name: all, route: [{destination: {host: shop}}]}"));
    const late = ["VirtualService", "late"] as const;
    await conditionBegins(cluster, late, "Reconciled", "False Propagating: 1 of 2 proxies have acknowledged it.");
    process.kill(silent.process.pid as number, "SIGCONT");
    await conditionBegins(cluster, late, "Reconciled", "True Acknowledged: 2 of 2 proxies have acknowledged it.");
  });

  test("nothing by a control plane that ends, which does not wait for an API server that hangs", async () => {
    const own = createScope();
    const lease = { namespace: "default", name: "other" };
    await startTestMesh(own, {
      kubernetes: { client: await KubeClient.connect({ kubeconfig: cluster.kubeconfig }) },
      kubeStatus: { lease, identity: "b", roundMs: 50, leaseSeconds: 2 },
    });
    await eventually("it leads", async () => {
      const found = await cluster.client.get(LEASES, lease);
      return (found?.spec as { holderIdentity?: string } | undefined)?.holderIdentity === "b";
    });
    process.kill(cluster.apiServer.pid, "SIGSTOP");
    let ended = false;
    const closing = own.close().then(() => {
      ended = true;
    });
    // A request is given up after 30 s of silence.
    await eventually("it ends", () => ended).finally(() => process.kill(cluster.apiServer.pid, "SIGCONT"));
    await closing;
  });
});

function rule(name: string, http: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [${name}.example.com]
  http:
${http}
`;
}

function entry(name: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${name}.example.com], resolution: STATIC, ports: [{number: 9080, name: http, protocol: HTTP}]}
---
`;
}

const SERVICES = `${["accepted", "refused", "lacking", "late"].map(entry).join("")}${entry("shop").replace("shop.example.com", "shop.default.svc.cluster.local")}`;

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8090, protocol: HTTP, name: http}, hosts: ["*"]}]
`;

const PLUGIN = `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: absent, namespace: default}
spec: {selector: {matchLabels: {app: client}}, url: "file:///nowhere.wasm"}
`;

const GROUP = `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: shop, namespace: default}
spec: {template: {serviceAccount: shop}}
`;
