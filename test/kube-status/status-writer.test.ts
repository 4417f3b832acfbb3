// Writing statuses to a real API server: each once, to the right object, and again when what kept them from it is over.
import { beforeAll, describe, expect, test } from "vitest";
import type { KubeClient } from "../../controlplane/kube/client.js";
import type { KubeObject } from "../../controlplane/kube/object.js";
import { type PolicyStatus, policyStatus } from "../../controlplane/kube-status/conditions.js";
import { type StatusTarget, StatusWriter } from "../../controlplane/kube-status/status-writer.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { createAccount, permit } from "../kube/support/accounts.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { installDefinitions, typeOf } from "../kube/support/custom-resources.js";

const TYPE = typeOf("Sidecar");

describe.skipIf("error" in kubeBinaries)("a writer of statuses", () => {
  const scope = testScope();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installDefinitions(cluster);
  });

  async function start(client: KubeClient, faults: (number | undefined)[] = [], mayWrite = () => true) {
    const onFault = (fault: { readonly status: number } | undefined) => void faults.push(fault?.status);
    const writer = scope.use(new StatusWriter({ client, defaultNamespace: "default", mayWrite, onFault }));
    await writer.start([{ kind: "Sidecar", type: TYPE, selection: {} }]);
    return writer;
  }
  const make = (name: string) =>
    cluster.client.create(
      TYPE,
      { apiVersion: "networking.istio.io/v1", kind: "Sidecar", metadata: { name }, spec: {} },
      "default",
    );
  const read = (name: string) => cluster.client.get(TYPE, { namespace: "default", name });
  const target = ({ metadata }: KubeObject): StatusTarget => ({
    kind: "Sidecar",
    type: TYPE,
    namespace: "default",
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
  });
  const key = (name: string) => `Sidecar/default/${name}`;
  const written = (name: string, status: PolicyStatus) =>
    eventually(`${name} has its status`, async () => {
      const now = (await read(name))?.status as PolicyStatus | undefined;
      return JSON.stringify(now?.conditions?.map(({ message }) => message)) === JSON.stringify(messagesOf(status));
    });

  test("writes a status once, also when another replica wrote it", async () => {
    const object = await make("a");
    const first = await start(cluster.client);
    first.want(key("a"), target(object), statusWith(1));
    await written("a", statusWith(1));
    const { resourceVersion } = (await read("a"))?.metadata ?? {};
    const second = await start(cluster.client);
    for (const writer of [first, second]) writer.want(key("a"), target(object), statusWith(1, "another time"));
    // What is written after it would come after it.
    const later = await make("later");
    for (const writer of [first, second]) writer.want(key("later"), target(later), statusWith(2));
    await written("later", statusWith(2));
    expect((await read("a"))?.metadata.resourceVersion).toBe(resourceVersion);
    expect((await read("a"))?.metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: "headgate", operation: "Apply", subresource: "status" }),
    );
  });

  test("writes the last of what was wanted meanwhile", async () => {
    const object = await make("often");
    const writer = await start(cluster.client);
    for (let count = 1; count <= 50; count++) writer.want(key("often"), target(object), statusWith(count));
    await written("often", statusWith(50));
    // What is written after it would come after it.
    const after = await make("after-often");
    writer.want(key("after-often"), target(after), statusWith(1));
    await written("after-often", statusWith(1));
    const { resourceVersion = "" } = object.metadata;
    const last = (await read("often"))?.metadata.resourceVersion;
    const selection = { namespace: "default", fieldSelector: "metadata.name=often", resourceVersion };
    let writes = 0;
    for await (const events of cluster.client.watch(TYPE, selection)) {
      writes += events.filter(({ type }) => type === "MODIFIED").length;
      if (events.some(({ object: seen }) => seen.metadata.resourceVersion === last)) break;
    }
    expect(writes).toBe(1);
  });

  test("writes what can wait after what comes later and cannot", async () => {
    const objects = [await make("w1"), await make("w2"), await make("now")];
    const writer = await start(cluster.client);
    for (const object of objects) {
      const name = object.metadata.name ?? "";
      writer.want(key(name), target(object), statusWith(1), name !== "now");
    }
    for (const name of ["w1", "w2", "now"]) await written(name, statusWith(1));
    const versions = await Promise.all(["now", "w1", "w2"].map(read));
    const order = versions.map((object) => Number(object?.metadata.resourceVersion));
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test("writes again what stood before, when that is wanted while something else is being written", async () => {
    const object = await make("back");
    // The client as it is, but for a moment before each write.
    let onWrite = () => {};
    const apply: KubeClient["apply"] = (...request) => {
      onWrite();
      return cluster.client.apply(...request);
    };
    const writer = await start(Object.assign(Object.create(cluster.client) as KubeClient, { apply }));
    writer.want(key("back"), target(object), statusWith(1));
    await eventually("it is written", () => writer.written(key("back"), object.metadata.uid ?? ""));
    let isAsked = false;
    onWrite = () => {
      if (isAsked) return;
      isAsked = true;
      writer.want(key("back"), target(object), statusWith(1));
    };
    writer.want(key("back"), target(object), statusWith(0));
    await eventually("it is wanted anew", () => isAsked);
    const later = await make("back-later");
    writer.want(key("back-later"), target(later), statusWith(1));
    await written("back-later", statusWith(1));
    expect(messagesOf((await read("back"))?.status as PolicyStatus)).toEqual(messagesOf(statusWith(1)));
  });

  test("passes over what is gone, and takes nothing that stands for the status of an object that came in its place", async () => {
    const faults: (number | undefined)[] = [];
    const [gone, replaced, last] = [await make("gone"), await make("replaced"), await make("last")];
    for (const name of ["gone", "replaced"]) await cluster.client.delete(TYPE, { namespace: "default", name });
    const replacement = await make("replaced");
    const writer = await start(cluster.client, faults);
    for (const object of [gone, replaced, last]) {
      writer.want(key(object.metadata.name ?? ""), target(object), statusWith(1));
    }
    await written("last", statusWith(1));
    expect(await read("gone")).toBeUndefined();
    writer.want(key("replaced"), target(replacement), statusWith(1));
    expect(writer.written(key("replaced"), replacement.metadata.uid ?? "")).toBeUndefined();
    await eventually("it is written", () => writer.written(key("replaced"), replacement.metadata.uid ?? ""));
    expect(faults).toEqual([]);
  });

  test("tells once that it may not write, and writes what is wanted by then as soon as it may", async () => {
    const account = await createAccount(scope, cluster, "writer");
    const faults: (number | undefined)[] = [];
    const objects = [await make("b"), await make("c")];
    const writer = await start(account.client, faults);
    for (const object of objects) writer.want(key(object.metadata.name ?? ""), target(object), statusWith(1));
    await eventually("it is told", () => faults.length > 0);
    for (const object of objects) writer.want(key(object.metadata.name ?? ""), target(object), statusWith(3));
    await permit(cluster, account, TYPE.group, `${TYPE.plural}/status`, ["patch"]);
    for (const name of ["b", "c"]) await written(name, statusWith(3));
    await eventually("it is told that it is over", () => faults.at(-1) === undefined);
    expect(faults).toEqual([403, undefined]);
  });

  test("waits while the API server is away, and while it may not write", async () => {
    const object = await make("d");
    let leads = false;
    const writer = await start(cluster.client, [], () => leads);
    writer.want(key("d"), target(object), statusWith(1));
    await cluster.apiServer.kill();
    leads = true;
    await cluster.apiServer.start();
    await written("d", statusWith(1));
  });
});

function statusWith(proxies: number, now = "2026-01-01T00:00:00Z"): PolicyStatus {
  const count = { concerned: proxies, acknowledged: proxies, rejected: 0 };
  return policyStatus({ generation: 1, own: [], mutual: [], count, silent: 0 }, undefined, now);
}

function messagesOf(status: PolicyStatus): readonly string[] {
  return status.conditions.map(({ message }) => message);
}
