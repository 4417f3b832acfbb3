// A proxy's identity -> the bootstrap its Envoy starts with: envoy/bootstrap.yaml, filled in as data.
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { parse } from "yaml";
import { type AdsCredentials, type Securable, secureAds } from "./ads-credentials.js";
import { packagePath } from "./package-root.js";
import { type Limitable, limitResources, type ResourceLimits } from "./resource-limits.js";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Who a proxy is; the control plane decides by it what the proxy gets. */
export interface ProxyIdentity {
  readonly role: "sidecar" | "router";
  /** The workload instance, as a pod's name. */
  readonly name: string;
  readonly namespace: string;
  /** Its own addresses, the primary one first. */
  readonly addresses: readonly [string, ...string[]];
  readonly labels: Readonly<Record<string, string>>;
  /** NONE: nothing is captured, the application talks to the sidecar by its address. */
  readonly interceptionMode: "REDIRECT" | "NONE";
  readonly serviceAccount?: string;
  /** The WorkloadGroup in which the workload registers itself. */
  readonly workloadGroup?: string;
  /** What the instance belongs to, as a deployment's name. */
  readonly workloadName?: string;
  /** The proxy may not bind ports below 1024. */
  readonly unprivileged: boolean;
  readonly locality?: { readonly region: string; readonly zone?: string; readonly subzone?: string };
  /** Since when the workload is so, milliseconds since the epoch: of two Envoys that speak for it, the later one counts. */
  readonly since?: number;
}

export interface BootstrapOptions {
  readonly ads: HostPort;
  /** Loopback by default; port 0 lets the kernel choose. */
  readonly admin?: HostPort;
  /** Asked in place of the system's resolvers, with c-ares. */
  readonly dnsResolver?: HostPort;
  /** Plaintext, and nothing to show, by default. */
  readonly credentials?: AdsCredentials;
  /** Those of envoy/bootstrap.yaml by default. */
  readonly limits?: ResourceLimits;
}

interface Template extends Securable, Limitable {
  node: Record<string, unknown>;
  admin: { address: unknown };
  static_resources: Securable["static_resources"] & {
    clusters: [{ type: string; load_assignment: { endpoints: unknown[] } }];
  };
  typed_dns_resolver_config?: unknown;
}

/** The JSON form of envoy.config.bootstrap.v3.Bootstrap; a new object each time. */
export function createBootstrap(identity: ProxyIdentity, options: BootstrapOptions): object {
  const bootstrap = parse(readFileSync(packagePath("envoy", "bootstrap.yaml"), "utf8")) as Template;
  bootstrap.node = createNode(identity);
  if (options.admin) bootstrap.admin.address = socketAddress(options.admin);
  const [ads] = bootstrap.static_resources.clusters;
  ads.type = isIP(options.ads.host) ? "STATIC" : "STRICT_DNS";
  ads.load_assignment.endpoints = [{ lb_endpoints: [{ endpoint: { address: socketAddress(options.ads) } }] }];
  if (options.credentials) secureAds(bootstrap, options.ads.host, options.credentials);
  if (options.limits) limitResources(bootstrap, options.limits);
  if (options.dnsResolver) bootstrap.typed_dns_resolver_config = caresResolver(options.dnsResolver);
  return bootstrap;
}

/** The node as Istio's proxies name themselves: `sidecar~ADDRESS~NAME.NAMESPACE~NAMESPACE.svc.cluster.local`. */
function createNode(identity: ProxyIdentity): Record<string, unknown> {
  const { role, name, namespace, addresses, labels, locality } = identity;
  return {
    id: `${role}~${addresses[0]}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${labels.app ?? identity.workloadName ?? name}.${namespace}`,
    ...(locality ? { locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subzone } } : {}),
    metadata: {
      NAME: name,
      NAMESPACE: namespace,
      LABELS: labels,
      INTERCEPTION_MODE: identity.interceptionMode,
      INSTANCE_IPS: addresses.join(","),
      SERVICE_ACCOUNT: identity.serviceAccount ?? "default",
      ...(identity.workloadGroup === undefined ? {} : { AUTO_REGISTER_GROUP: identity.workloadGroup }),
      WORKLOAD_NAME: identity.workloadName ?? name,
      ...(identity.unprivileged ? { UNPRIVILEGED_POD: "true" } : {}),
      ...(identity.since === undefined ? {} : { SINCE: String(identity.since) }),
    },
  };
}

function caresResolver(resolver: HostPort) {
  return {
    name: "envoy.network.dns_resolver.cares",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
      resolvers: [socketAddress(resolver)],
      dns_resolver_options: { no_default_search_domain: true },
    },
  };
}

function socketAddress({ host, port }: HostPort) {
  return { socket_address: { address: host, port_value: port } };
}
