// Workloads that register themselves on a cluster: their WorkloadEntries, as proxies come, go and change the control plane.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../controlplane/kube/object.js";
import { type Proxy, parseNode } from "../../controlplane/proxy/proxy.js";
import { ClusterEntries } from "../../controlplane/registration/cluster-entries.js";
import { Registrations } from "../../controlplane/registration/registrations.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import type { WorkloadGroup } from "../../controlplane/resources/workload-group.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installDefinitions, typeOf } from "./support/custom-resources.js";

const ENTRIES = typeOf("WorkloadEntry");
const NAMESPACES = { group: "", version: "v1", plural: "namespaces" };
const LEASES = { group: "coordination.k8s.io", version: "v1", plural: "leases" };

describe.skipIf("error" in kubeBinaries)("on a cluster, a workload that registers itself", () => {
  const scope = testScope();
  let cluster: Cluster;
  let namespace: string;
  let count = 0;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
  });
  beforeEach(async () => {
    namespace = `vms-${++count}`;
    await cluster.client.create(NAMESPACES, { metadata: { name: namespace } });
  });

  function group(): WorkloadGroup {
    const value = {
      apiVersion: "networking.istio.io/v1",
      kind: "WorkloadGroup",
      metadata: { name: "vms", namespace },
      spec: { metadata: { labels: { app: "cart" } }, template: { ports: { http: 8080 } } },
    };
    return decodeObject({ value, locate: () => undefined }, "default").resource as WorkloadGroup;
  }

  function proxy(address: string): Proxy {
    const id = `sidecar~${address}~vm.${namespace}~${namespace}.svc.cluster.local`;
    const parsed = parseNode({ id, metadata: { AUTO_REGISTER_GROUP: "vms", SERVICE_ACCOUNT: "cart" } }, "delta");
    if ("error" in parsed) throw new Error(parsed.error);
    return parsed.proxy;
  }

  /** A request for its Lease may take an eighth of the seconds. */
  async function replica(identity: string, seconds = 40) {
    const faults: string[] = [];
    const onFault = (fault: unknown) => void (fault && faults.push(String(fault)));
    const all = { client: cluster.client, namespace, identity, onFault, seconds };
    const entries = new ClusterEntries(all);
    const settings = { graceMs: 20, retryMs: 50, group, onFault };
    const registrations = scope.use(new Registrations({ entries, ...settings }));
    await registrations.start();
    return { registrations, faults };
  }

  const stored = async () => (await cluster.client.list(ENTRIES, { namespace })).items;
  const holder = ({ metadata }: KubeObject) => metadata.annotations?.["headgate.dev/registered-at"]?.split("/")[1];
  const holders = async () => (await stored()).map(holder).join();

  test("has an entry while its proxy is connected, which the API server takes as it takes any other", async () => {
    const { registrations, faults } = await replica("a");
    const vm = proxy("10.0.0.7");
    registrations.connected(vm);
    await eventually("it has an entry", async () => (await stored()).length === 1);
    expect(await stored()).toMatchObject([
      {
        metadata: {
          name: "vms-10-0-0-7",
          labels: { app: "cart", "headgate.dev/registered": "true" },
          annotations: { "headgate.dev/registered-by": vm.id },
        },
        spec: { address: "10.0.0.7", ports: { http: 8080 }, serviceAccount: "cart" },
      },
    ]);
    registrations.disconnected(vm.id);
    await eventually("it has none", async () => (await stored()).length === 0);
    expect(faults).toEqual([]);
  });

  test("loses its entry though somebody writes to it all the time", async () => {
    const { registrations, faults } = await replica("a");
    const vm = proxy("10.0.0.7");
    registrations.connected(vm);
    await eventually("it has an entry", async () => (await stored()).length === 1);
    let isWriting = true;
    const at = { namespace, name: "vms-10-0-0-7" };
    const writing = (async () => {
      for (let i = 0; isWriting; i++)
        await cluster.client.merge(ENTRIES, at, { metadata: { annotations: { note: `${i}` } } }).catch(() => {});
    })();
    registrations.disconnected(vm.id);
    await eventually("it has none", async () => (await stored()).length === 0);
    isWriting = false;
    await writing;
    expect(faults).toEqual([]);
  });

  test("keeps its entry when its proxy goes to another replica", async () => {
    const [a, b] = [await replica("a"), await replica("b")];
    const vm = proxy("10.0.0.7");
    a.registrations.connected(vm);
    await eventually("it is at the first", async () => (await holders()) === "a");
    const [before] = await stored();
    b.registrations.connected(vm);
    await eventually("it is at the other", async () => (await holders()) === "b");
    a.registrations.disconnected(vm.id);
    // The first one has looked at its entry once this other one of its is gone, too.
    const other = proxy("10.0.0.8");
    a.registrations.connected(other);
    await eventually("the other has an entry", async () => (await stored()).length === 2);
    a.registrations.disconnected(other.id);
    await eventually("the other has none", async () => (await stored()).length === 1);
    expect(await stored()).toMatchObject([{ metadata: { uid: before?.metadata.uid } }]);
  });

  test("loses its entry when its replica is gone and its proxy does not come back, and that replica's Lease goes too", async () => {
    const [a, b] = [await replica("a", 8), await replica("b", 8)];
    for (const address of ["10.0.0.1", "10.0.0.2"]) a.registrations.connected(proxy(address));
    await eventually("both are at the first", async () => (await holders()) === "a,a");
    await a.registrations.close();
    b.registrations.connected(proxy("10.0.0.2"));
    await eventually("one is at the other", async () => (await holders()) === "a,b");
    await eventually("the one that did not come back is gone", async () => (await holders()) === "b", 30_000);
    expect(b.faults).toEqual([]);
    const leases = async () =>
      (await cluster.client.list(LEASES, { namespace })).items.map(({ metadata }) => metadata.name);
    await eventually("one Lease is left", async () => (await leases()).join() === "headgate-registrations-b");
  });

  test("gets requests while its Envoy is connected, and has its entry again when somebody deletes it", async () => {
    const backend = await startBackend(scope, "vm");
    await cluster.kubectl(["apply", "-f", "-"], POLICIES(namespace, backend.port));
    const onFault = (fault: unknown) => expect(fault).toBeUndefined();
    const registrations = new ClusterEntries({ client: cluster.client, namespace, identity: "a", onFault });
    const mesh = await startTestMesh(scope, { registrations, kubernetes: { client: cluster.client } });
    const client = await mesh.startProxy({ name: "client", namespace });
    const answer = async () => (await ask(`http://${client.address}:9080/`, { headers: { host: "cart" } })).status;
    expect(await answer()).toBe(503);
    const metadata = { AUTO_REGISTER_GROUP: "vms" };
    await mesh.startProxy({ name: "vm", namespace, address: "127.0.0.1", metadata });
    await eventually("it gets requests", async () => (await answer()) === 200);
    const [before] = await stored();
    await cluster.client.delete(ENTRIES, { namespace, name: "vms-127-0-0-1" });
    await eventually("it has an entry again", async () => {
      const [now] = await stored();
      return now !== undefined && now.metadata.uid !== before?.metadata.uid;
    });
    await eventually("it gets requests again", async () => (await answer()) === 200);
  });

  test("leaves a WorkloadEntry alone that somebody else made, and takes its name once it is free", async () => {
    const entry = {
      apiVersion: "networking.istio.io/v1",
      kind: "WorkloadEntry",
      metadata: { name: "vms-10-0-0-7", namespace },
      spec: { address: "10.9.9.9" },
    };
    await cluster.client.create(ENTRIES, entry, namespace);
    const { registrations, faults } = await replica("a");
    registrations.connected(proxy("10.0.0.7"));
    registrations.connected(proxy("10.0.0.8"));
    await eventually("the other has its entry", async () => (await stored()).length === 2);
    await eventually("it is told", () => faults.length > 0);
    expect((await stored())[0]?.spec).toEqual({ address: "10.9.9.9" });
    await cluster.client.delete(ENTRIES, { namespace, name: "vms-10-0-0-7" });
    await eventually("it has the name", async () => (await holders()) === "a,a");
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain("none that a workload registered");
  });
});

const POLICIES = (namespace: string, port: number) => `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms, namespace: ${namespace}}
spec:
  metadata: {labels: {app: cart}}
  template: {ports: {http: ${port}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cart, namespace: ${namespace}}
spec:
  hosts: [cart]
  resolution: STATIC
  location: MESH_INTERNAL
  workloadSelector: {labels: {app: cart}}
  ports: [{number: 9080, name: http, protocol: HTTP}]
`;
