// A service in the cluster with two versions behind it: real backends, and the objects that controllers would make.
import type { Kind } from "../../../controlplane/resources/kinds.js";
import { type Backend, startBackend } from "../../harness/backend.js";
import { ask } from "../../harness/client.js";
import type { TestProxy } from "../../harness/mesh.js";
import type { Scope } from "../../harness/scope.js";
import { eventually } from "../../harness/waiting.js";
import type { Cluster } from "./cluster.js";
import { typeOf } from "./custom-resources.js";
import { ownAddress } from "./own-address.js";

export const SHOP_PORT = 9080;

export interface Shop {
  readonly v1: Backend;
  readonly v2: Backend;
  /** Makes a pod and the slice that has it as the service's endpoint. */
  addPod(name: string, backend: Backend): Promise<void>;
  /** What the kubelet and the endpoints' controller do when a pod fails its probe, or passes it again. */
  setReady(name: string, ready: boolean): Promise<void>;
}

/** Opens the Service `shop` with the pods v1 and v2, whose names are their versions and their backends' names too. */
export async function openShop(scope: Scope, cluster: Cluster): Promise<Shop> {
  const { client } = cluster;
  const host = ownAddress as string;
  const [v1, v2] = [await startBackend(scope, "v1", { host }), await startBackend(scope, "v2", { host })];
  const apply = (kind: Kind, object: { metadata: { name: string } }, subresource?: string) =>
    client.apply(typeOf(kind), { namespace: "default", name: object.metadata.name }, object, {
      fieldManager: "test",
      ...(subresource === undefined ? {} : { subresource }),
    });
  const endpoints = (name: string, { port }: Backend, ready: boolean) =>
    apply("EndpointSlice", {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `shop-${name}`, labels: { "kubernetes.io/service-name": "shop" } },
      addressType: "IPv4",
      ports: [{ name: "http", port, protocol: "TCP" }],
      endpoints: [{ addresses: [host], conditions: { ready }, targetRef: { kind: "Pod", namespace: "default", name } }],
    } as never);
  const backends = new Map<string, Backend>();
  const status = (name: string, ready: boolean) =>
    apply("Pod", podObject(name, { status: podStatus(host, ready) }), "status");

  const shop: Shop = {
    v1,
    v2,
    async addPod(name, backend) {
      backends.set(name, backend);
      const spec = { containers: [{ name: "shop", image: "shop" }] };
      await apply("Pod", podObject(name, { spec, labels: { app: "shop", version: name } }));
      await status(name, true);
      await endpoints(name, backend, true);
    },
    async setReady(name, ready) {
      await status(name, ready);
      await endpoints(name, backends.get(name) as Backend, ready);
    },
  };
  await apply("Service", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "shop" },
    spec: { selector: { app: "shop" }, ports: [{ name: "http", port: SHOP_PORT, targetPort: 8080, protocol: "TCP" }] },
  } as never);
  await shop.addPod("v1", v1);
  await shop.addPod("v2", v2);
  return shop;
}

function podObject(name: string, { labels, ...rest }: { labels?: object; spec?: object; status?: object }) {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, ...(labels ? { labels } : {}) }, ...rest };
}

function podStatus(podIP: string, ready: boolean) {
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  return { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
}

/** The backends that requests through the sidecar reach, or the statuses they get, each once and sorted. */
export async function answerers(
  { address }: TestProxy,
  { host = "shop", headers = {}, count = 8 }: { host?: string; headers?: Record<string, string>; count?: number } = {},
): Promise<string> {
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const { status, body } = await ask(`http://${address}:${SHOP_PORT}/`, { headers: { host, ...headers } });
    seen.add(status === 200 ? JSON.parse(body).backend : String(status));
  }
  return [...seen].sort().join(" ");
}

/** Waits until requests are answered so. */
export function answered(
  proxy: TestProxy,
  expected: string,
  asked: { host?: string; headers?: Record<string, string>; count?: number } = {},
): Promise<unknown> {
  let last = "";
  return eventually(`${expected} answer`, async () => {
    last = await answerers(proxy, asked);
    return last === expected;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; ${last} answered`, { cause: error });
  });
}
