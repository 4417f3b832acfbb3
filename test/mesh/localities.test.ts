// Where endpoints stand: by the labels of the nodes that their pods run on.
import { describe, expect, test } from "vitest";
import { buildMesh, changeMesh, type Mesh } from "../../controlplane/mesh/mesh.js";
import { resourceKey } from "../../controlplane/resources/resource.js";
import { decodeText } from "../resources/decoding.js";

const node = (name: string, zone: string) => `---
apiVersion: v1
kind: Node
metadata:
  name: ${name}
  labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: ${zone}, topology.istio.io/subzone: rack-1}
`;
const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: a}
spec: {selector: {app: a}, ports: [{name: http, port: 80}]}
`;
const pod = (name: string, ip: string, on: string) => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: a}}
spec: {nodeName: ${on}}
status: {podIP: ${ip}}
`;
const SLICE = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.0.0.1], nodeName: n1, zone: elsewhere}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: p2}}
- {addresses: [10.0.0.3], zone: z3}
- {addresses: [10.0.0.4], nodeName: unknown}
`;
const ENTRY = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: a}}
`;

function localitiesOf(mesh: Mesh, host: string): Record<string, string> {
  const [service] = mesh.services.byHost.get(host) ?? [];
  return Object.fromEntries((service?.endpoints.get(80) ?? []).map(({ address, locality }) => [address, locality]));
}

const build = (text: string) => buildMesh(decodeText(text), { rootNamespace: "istio-system" });
const A = "a.fallback.svc.cluster.local";

describe("an endpoint's locality", () => {
  test("is its node's, however the slice names the node, and the slice's zone where the node is not known", () => {
    const mesh = build(SERVICE + node("n1", "z1") + node("n2", "z2") + pod("p2", "10.0.0.2", "n2") + SLICE);
    expect(localitiesOf(mesh, A)).toEqual({
      "10.0.0.1": "eu/z1/rack-1",
      "10.0.0.2": "eu/z2/rack-1",
      "10.0.0.3": "/z3",
      "10.0.0.4": "",
    });
  });

  test("is its pod's node's without slices, for services and service entries", () => {
    const mesh = build(SERVICE + node("n1", "z1") + pod("p1", "10.0.0.1", "n1") + ENTRY);
    expect(localitiesOf(mesh, A)).toEqual({ "10.0.0.1": "eu/z1/rack-1" });
    expect(localitiesOf(mesh, "b.example.com")).toEqual({ "10.0.0.1": "eu/z1/rack-1" });
  });

  test("changes with the node's labels", () => {
    const before = decodeText(SERVICE + node("n1", "z1") + pod("p1", "10.0.0.1", "n1"));
    const moved = decodeText(node("n1", "z9"));
    const after = new Map([...before, ...moved].map((resource) => [resourceKey(resource), resource]));
    const mesh = buildMesh(before, { rootNamespace: "istio-system" });
    const changed = changeMesh(mesh, after, new Set(moved.map(resourceKey)));
    expect(localitiesOf(changed, A)).toEqual({ "10.0.0.1": "eu/z9/rack-1" });
  });
});
