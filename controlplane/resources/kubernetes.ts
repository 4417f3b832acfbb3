// The Kubernetes kinds that tell of services and workloads: Service, EndpointSlice, Pod, Node, Namespace, Secret.
import type { Resource } from "./resource.js";

export interface ServiceSpec {
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  readonly externalName?: string;
  /** Addresses; empty for a headless service. */
  readonly clusterIPs: readonly string[];
  readonly headless: boolean;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: "TCP" | "UDP" | "SCTP";
    readonly appProtocol?: string;
    /** A number, or the name of a container's port. */
    readonly targetPort: number | string;
  }[];
  readonly publishNotReadyAddresses: boolean;
}

export type Service = Resource<"Service", ServiceSpec>;

export interface EndpointSliceSpec {
  /** From the label kubernetes.io/service-name. */
  readonly service: string;
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly ready: boolean;
    readonly zone?: string;
    readonly nodeName?: string;
    readonly pod?: { readonly namespace: string; readonly name: string };
  }[];
}

export type EndpointSlice = Resource<"EndpointSlice", EndpointSliceSpec>;

export interface PodSpec {
  /** From status.podIPs; empty while the pod has none. */
  readonly ips: readonly string[];
  readonly ready: boolean;
  readonly serviceAccount: string;
  readonly nodeName?: string;
  /** Container port name -> number. */
  readonly ports: ReadonlyMap<string, number>;
}

export type Pod = Resource<"Pod", PodSpec>;

export interface NodeSpec {
  /** region/zone/subzone of the node's labels, without what is missing at the end; empty where it has none. */
  readonly locality: string;
}

export type Node = Resource<"Node", NodeSpec>;

/** Only its labels and annotations are read. */
export type Namespace = Resource<"Namespace", Readonly<Record<string, never>>>;

export interface SecretSpec {
  readonly type: string;
  /** Decoded; never to be logged or shown. */
  readonly data: ReadonlyMap<string, Uint8Array>;
}

export type Secret = Resource<"Secret", SecretSpec>;
