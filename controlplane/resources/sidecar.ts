// Sidecar (networking.istio.io): what the sidecars of a namespace, or of some of its workloads, accept and reach.
import type { ConnectionPoolSettings } from "./destination-rule.js";
import type { ServerTlsSettings } from "./gateway.js";
import type { Resource } from "./resource.js";
import type { PortProtocol } from "./service-entry.js";

export type CaptureMode = "DEFAULT" | "IPTABLES" | "NONE";

export interface SidecarPort {
  readonly number: number;
  /** Undefined for ingress means TCP, for egress what the service's port says. */
  readonly protocol?: PortProtocol;
  readonly name: string;
}

export interface EgressListener {
  readonly port?: SidecarPort;
  readonly bind?: string;
  readonly captureMode: CaptureMode;
  /** "namespace/host" with ".", "*" and "~" as namespaces and wildcards in the host, as written. */
  readonly hosts: readonly string[];
}

export interface IngressListener {
  readonly port: SidecarPort;
  readonly bind?: string;
  readonly captureMode: CaptureMode;
  /** "127.0.0.1:PORT", "[::1]:PORT", "0.0.0.0:PORT", "[::]:PORT" or "unix:///path"; undefined means 127.0.0.1 on the same port. */
  readonly defaultEndpoint?: string;
  readonly tls?: ServerTlsSettings;
  readonly connectionPool?: ConnectionPoolSettings;
}

export interface SidecarSpec {
  /** Undefined means every workload of the namespace. */
  readonly workloadSelector?: Readonly<Record<string, string>>;
  readonly ingress: readonly IngressListener[];
  /** Empty means everything that is exported to the namespace. */
  readonly egress: readonly EgressListener[];
  readonly inboundConnectionPool?: ConnectionPoolSettings;
  readonly outboundTrafficPolicy?: { readonly mode: "REGISTRY_ONLY" | "ALLOW_ANY" };
}

export type Sidecar = Resource<"Sidecar", SidecarSpec>;
