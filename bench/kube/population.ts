// The measured cluster's objects, in the shape and size of real ones: per service a Service, an EndpointSlice, two Pods;
// for every tenth a VirtualService and a DestinationRule.
import type { KubeClient } from "../../controlplane/kube/client.js";
import type { Kind } from "../../controlplane/resources/kinds.js";
import { typeOf } from "../../test/kube/support/custom-resources.js";

/** Requests under way. */
const AT_ONCE = 48;
const PODS = 2;

/** Makes services 0 to count - 1 in the namespace default. */
export async function populate(client: KubeClient, count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    for (let number = next++; number < count; number = next++) await makeService(client, number);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function makeService(client: KubeClient, number: number): Promise<void> {
  const create = (kind: Kind, object: object) => client.create(typeOf(kind), object, "default");
  const name = `svc-${number}`;
  const labels = { app: name, team: `team-${number % 40}`, "app.kubernetes.io/managed-by": "Helm" };
  await create("Service", {
    metadata: { name, labels },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  });
  for (let index = 0; index < PODS; index++) await makePod(client, number, index, labels);
  await create("EndpointSlice", {
    metadata: { name: `${name}-x1`, labels: { ...labels, "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: PODS }, (_, index) => ({
      addresses: [addressOf(number, index)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${number % 100}`,
      targetRef: { kind: "Pod", namespace: "default", name: `${name}-${index}` },
    })),
  });
  if (number % 10 !== 0) return;
  const host = `${name}.default.svc.cluster.local`;
  await create("DestinationRule", {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name },
    spec: { host, subsets: [{ name: "v1", labels: { version: "v1" } }] },
  });
  await create("VirtualService", {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name },
    spec: {
      hosts: [host],
      http: [
        { match: [{ headers: { user: { exact: "jason" } } }], route: [{ destination: { host, subset: "v1" } }] },
        { route: [{ destination: { host } }] },
      ],
    },
  });
}

async function makePod(client: KubeClient, number: number, index: number, labels: Record<string, string>) {
  const name = `svc-${number}-${index}`;
  const variables = Array.from({ length: 20 }, (_, i) => ({
    name: `SETTING_${i}`,
    value: `a value of usual length ${i}`,
  }));
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { ...labels, version: "v1" }, annotations: { "example.com/checksum": "0".repeat(64) } },
    spec: {
      nodeName: `node-${number % 100}`,
      containers: ["app", "logger"].map((container) => ({
        name: container,
        image: `registry.example.com/${container}:1.0`,
        env: variables,
        ports: container === "app" ? [{ name: "http", containerPort: 8080 }] : [],
      })),
    },
  };
  await client.create(typeOf("Pod"), pod, "default");
  const podIP = addressOf(number, index);
  const conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
    type,
    status: "True",
  }));
  const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
  await client.merge(typeOf("Pod"), { namespace: "default", name }, { status }, { subresource: "status" });
}

function addressOf(number: number, index: number): string {
  return `10.${200 + index}.${number >> 8}.${number & 255}`;
}
