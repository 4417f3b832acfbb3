// ServiceEntry (networking.istio.io): a service the platform does not know of, inside or outside the mesh.
import type { Resource } from "./resource.js";

export type PortProtocol =
  | "HTTP"
  | "HTTPS"
  | "GRPC"
  | "GRPC-WEB"
  | "HTTP2"
  | "MONGO"
  | "MYSQL"
  | "REDIS"
  | "TCP"
  | "TLS"
  | "UDP";

export type Resolution = "NONE" | "STATIC" | "DNS" | "DNS_ROUND_ROBIN";

/** A workload's address in a ServiceEntry, or the spec of a WorkloadEntry. */
export interface WorkloadEndpoint {
  /** An IP address, a DNS name (with DNS resolution) or unix:///path; undefined where only the network is given. */
  readonly address?: string;
  /** Port name -> number, where it differs from the service's. */
  readonly ports: ReadonlyMap<string, number>;
  readonly labels: Readonly<Record<string, string>>;
  readonly network?: string;
  /** region/zone/subzone */
  readonly locality?: string;
  /** 0 or more; undefined means 1. */
  readonly weight?: number;
  readonly serviceAccount?: string;
}

export interface ServiceEntrySpec {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly number: number;
    readonly protocol: PortProtocol;
    readonly name: string;
    readonly targetPort?: number;
  }[];
  readonly location: "MESH_EXTERNAL" | "MESH_INTERNAL";
  readonly resolution: Resolution;
  readonly endpoints: readonly WorkloadEndpoint[];
  readonly workloadSelector?: Readonly<Record<string, string>>;
  readonly subjectAltNames: readonly string[];
  /** Empty means every namespace. */
  readonly exportTo: readonly string[];
}

export type ServiceEntry = Resource<"ServiceEntry", ServiceEntrySpec>;
export type WorkloadEntry = Resource<"WorkloadEntry", WorkloadEndpoint>;
