// The mesh's own idea of a service, whichever kind of object it came from.
import type { AnyResource } from "../resources/kinds.js";

/** How a port's traffic is read. Of these, http, http2 and grpc are routed by HTTP rules. */
export type Protocol = "http" | "http2" | "grpc" | "https" | "tls" | "tcp" | "udp";

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
}

/**
 * Where a service's addresses come from: a list that is pushed (static), names that Envoy resolves, all addresses (dns)
 * or one at a time (dns-round-robin), or wherever the client was going (none).
 */
export type ServiceResolution = "static" | "dns" | "dns-round-robin" | "none";

export interface Endpoint {
  /** An IP address, a DNS name, or unix:///path. */
  readonly address: string;
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  /** region/zone/subzone; empty when unknown. */
  readonly locality: string;
  readonly weight: number;
  /** Whom its certificate is for, as the endpoint's own resource says. */
  readonly serviceAccount?: string;
}

export interface MeshService {
  /** Full and lower-case; a ServiceEntry's may be a wildcard. */
  readonly hostname: string;
  readonly namespace: string;
  /** The Kubernetes name; undefined for a ServiceEntry's host. */
  readonly name?: string;
  readonly ports: readonly ServicePort[];
  /** Virtual addresses; empty when it has none. */
  readonly addresses: readonly string[];
  readonly resolution: ServiceResolution;
  readonly external: boolean;
  /** Kubernetes gives it no virtual address: clients call the endpoints' own. */
  readonly headless: boolean;
  /** Namespaces that see it: "*", names; empty means all. */
  readonly exportTo: readonly string[];
  /** By port number, in a fixed order. */
  readonly endpoints: ReadonlyMap<number, readonly Endpoint[]>;
  readonly subjectAltNames: readonly string[];
  readonly source: AnyResource;
}

export function isHttp(protocol: Protocol): boolean {
  return protocol === "http" || protocol === "http2" || protocol === "grpc";
}

/** Whether traffic of the port is told apart by the server name in its TLS hello. */
export function isTls(protocol: Protocol): boolean {
  return protocol === "https" || protocol === "tls";
}

const BY_PREFIX: Readonly<Record<string, Protocol>> = {
  http: "http",
  http2: "http2",
  grpc: "grpc",
  "grpc-web": "grpc",
  https: "https",
  tls: "tls",
  tcp: "tcp",
  mongo: "tcp",
  mysql: "tcp",
  redis: "tcp",
  udp: "udp",
};

/** Kubernetes' and Istio's names of application protocols that are not prefixes of a port's name. */
const BY_APP_PROTOCOL: Readonly<Record<string, Protocol>> = {
  "kubernetes.io/h2c": "http2",
  "kubernetes.io/ws": "http",
  "kubernetes.io/wss": "https",
  h2c: "http2",
};

/**
 * A port's protocol: appProtocol, else the part of the name before the first dash (http, http2, grpc, grpc-web, https,
 * tls, tcp, ...), else tcp.
 */
export function portProtocol(name: string, appProtocol?: string, transport = "TCP"): Protocol {
  if (transport === "UDP") return "udp";
  const declared = appProtocol?.toLowerCase();
  if (declared) return BY_APP_PROTOCOL[declared] ?? BY_PREFIX[declared] ?? "tcp";
  const lower = name.toLowerCase();
  if (lower === "grpc-web" || lower.startsWith("grpc-web-")) return "grpc";
  return BY_PREFIX[lower.split("-", 1)[0] ?? ""] ?? "tcp";
}
