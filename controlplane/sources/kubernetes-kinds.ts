// The kinds that are read from a cluster: where the API serves them, and which of their objects are wanted.
import type { Kind } from "../resources/kinds.js";

export interface KubernetesKind {
  readonly group: string;
  /** The one to be preferred first. */
  readonly versions: readonly string[];
  readonly plural: string;
  /** Objects that belong to the cluster have no namespace to be limited to. */
  readonly clusterWide?: true;
  /** Policies are custom resources, which may not be installed, and which a label selector can choose from. */
  readonly policy?: true;
  /** Each is listed and watched by itself. */
  readonly fieldSelectors?: readonly string[];
}

const ISTIO = { group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"], policy: true } as const;
const EXTENSIONS = { group: "extensions.istio.io", versions: ["v1alpha1"], policy: true } as const;
const CORE = { group: "", versions: ["v1"] } as const;

const READ = {
  VirtualService: { ...ISTIO, plural: "virtualservices" },
  DestinationRule: { ...ISTIO, plural: "destinationrules" },
  Gateway: { ...ISTIO, plural: "gateways" },
  ServiceEntry: { ...ISTIO, plural: "serviceentries" },
  WorkloadEntry: { ...ISTIO, plural: "workloadentries" },
  WorkloadGroup: { ...ISTIO, plural: "workloadgroups" },
  Sidecar: { ...ISTIO, plural: "sidecars" },
  WasmPlugin: { ...EXTENSIONS, plural: "wasmplugins" },
  TrafficExtension: { ...EXTENSIONS, plural: "trafficextensions" },
  StagedRollout: { group: "headgate.dev", versions: ["v1alpha1"], policy: true, plural: "stagedrollouts" },
  Service: { ...CORE, plural: "services" },
  EndpointSlice: { group: "discovery.k8s.io", versions: ["v1"], plural: "endpointslices" },
  Pod: { ...CORE, plural: "pods", fieldSelectors: ["status.phase!=Succeeded,status.phase!=Failed"] },
  Node: { ...CORE, plural: "nodes", clusterWide: true },
  Namespace: { ...CORE, plural: "namespaces", clusterWide: true },
  // Certificates, and what a registry of images asks for. The many other types are nothing to know of.
  Secret: {
    ...CORE,
    plural: "secrets",
    fieldSelectors: ["type=kubernetes.io/tls", "type=Opaque", "type=kubernetes.io/dockerconfigjson"],
  },
} as const satisfies Readonly<Record<string, KubernetesKind>>;

export const KUBERNETES_KINDS: Readonly<Record<Kind, KubernetesKind>> = READ;
