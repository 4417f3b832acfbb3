// Sidecars known by tokens of their pods, about which a real API server is asked.
import { Metadata } from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";
import { connect, ScriptedStream } from "../xds/support/script.js";

const PODS = { group: "", version: "v1", plural: "pods" };
const ACCOUNTS = { group: "", version: "v1", plural: "serviceaccounts" };
const IP = "10.1.2.3";

describe.skipIf("error" in kubeBinaries)("headgate serve --ads-token-review", () => {
  const scope = testScope();
  let cluster: Cluster;
  let replica: ServeProcess;

  /** Makes a pod with an address and the account of the same namespace, and resolves with a token that is bound to it. */
  async function tokenOf(pod: string, { audience = "headgate", isBound = true } = {}): Promise<string> {
    const { client } = cluster;
    const at = { namespace: "default", name: pod };
    const spec = { serviceAccountName: "web", containers: [{ name: "web", image: "web" }] };
    const object = { apiVersion: "v1", kind: "Pod", metadata: { name: pod, labels: { app: "web" } }, spec };
    const made = (await client.get(PODS, at)) ?? (await client.create(PODS, object, "default"));
    await client.merge(PODS, at, { status: { podIP: IP, podIPs: [{ ip: IP }] } }, { subresource: "status" });
    const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: pod, uid: made.metadata.uid };
    const request = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences: [audience], expirationSeconds: 3600, ...(isBound ? { boundObjectRef } : {}) },
    };
    const answer = await client.createUnder(ACCOUNTS, { namespace: "default", name: "web" }, request, {
      subresource: "token",
    });
    return (answer.status as { token: string }).token;
  }

  /** A proxy that says this of itself and shows the token. */
  function open(token: string, { pod = "web-1", address = IP, account = "web", app = "admin" } = {}): ScriptedStream {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    const id = `sidecar~${address}~${pod}.default~default.svc.cluster.local`;
    const stream = new ScriptedStream(scope.use(connect(replica.ads)), "delta", id, metadata);
    const claims = { SERVICE_ACCOUNT: account, INSTANCE_IPS: `${address},10.9.9.9`, LABELS: { app } };
    stream.send({ typeUrl: CLUSTER, node: { id, cluster: "test", metadata: claims } });
    return stream;
  }

  const viewOf = async (pod: string) => {
    const answer = await (await fetch(`http://${replica.admin}/proxies`)).json();
    return (answer as { proxies: ProxyView[] }).proxies.find(({ name }) => name === pod);
  };

  async function leave(stream: ScriptedStream): Promise<void> {
    stream.cancel();
    await eventually("the proxy is gone", async () => !(await viewOf("web-1"))?.connected);
  }

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await cluster.kubectl(["create", "serviceaccount", "web"]);
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    replica = await startServe(scope, [
      "--kube",
      "--kubeconfig",
      cluster.kubeconfig,
      ...addresses,
      "--ads-token-review",
    ]);
  });

  test("lets the pod's proxy in, with the pod's labels in place of those that it says it has", async () => {
    const stream = open(await tokenOf("web-1"));
    const view = await eventually("the proxy is known", () => viewOf("web-1"));
    expect(view.labels).toEqual({ app: "web" });
    await leave(stream);
  });

  test("refuses a proxy that says it is another pod, account or address", async () => {
    const token = await tokenOf("web-1");
    const refused = { code: 7 };
    expect(await open(token, { pod: "web-2" }).ended).toMatchObject(refused);
    expect(await open(token, { account: "admin" }).ended).toMatchObject(refused);
    expect(await open(token, { address: "10.1.2.4" }).ended).toMatchObject(refused);
  });

  test("refuses a token for somebody else, one of no pod, and none at all", async () => {
    const refused = { code: 16 };
    expect(await open(await tokenOf("web-1", { audience: "other" })).ended).toMatchObject(refused);
    expect(await open(await tokenOf("web-1", { isBound: false })).ended).toMatchObject(refused);
    expect(await open("made.up.token").ended).toMatchObject(refused);
  });

  test("refuses a token whose pod is gone", async () => {
    const token = await tokenOf("web-3");
    await cluster.client.delete(PODS, { namespace: "default", name: "web-3" });
    await eventually(
      "the pod is gone",
      async () => (await cluster.client.get(PODS, { namespace: "default", name: "web-3" })) === undefined,
    );
    expect(await open(token, { pod: "web-3" }).ended).toMatchObject({ code: 16 });
  });

  test("goes on knowing for a while whom it knew, when the API server is away, and nobody else", async () => {
    const [known, unknown] = [await tokenOf("web-1"), await tokenOf("web-4")];
    const stream = open(known);
    await eventually("the proxy is known", async () => (await viewOf("web-1"))?.connected);
    await leave(stream);
    await cluster.apiServer.kill();
    expect(await open(unknown, { pod: "web-4" }).ended).toMatchObject({ code: 16 });
    open(known);
    await eventually("the proxy is let in again", async () => (await viewOf("web-1"))?.connected);
  });
});
