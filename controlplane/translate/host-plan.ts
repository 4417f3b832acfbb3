// What a sidecar does with each HTTP host of a port, before any of it is encoded: which rules govern the host, and under
// which names it is called.

import { isIP } from "node:net";
import { CLUSTER_DOMAIN, fullHostname, hostCovers, isWildcard } from "../mesh/hostname.js";
import type { MeshService } from "../mesh/service.js";
import type { VirtualService } from "../resources/virtual-service.js";

export interface HostPlan {
  /** Unique within its route configuration. */
  readonly name: string;
  /** The names it is called by, most usual first; none is in two plans of one port. */
  readonly domains: readonly string[];
  /** All of them in one text, for comparison. */
  readonly domainText: string;
  /** The host's own service, where it is one. */
  readonly service?: MeshService;
  /** The port that a request means; the service's own where one listener takes all ports. */
  readonly port: number;
  /** Those whose rules govern it, in order; empty where none speaks of it. */
  readonly virtualServices: readonly VirtualService[];
}

/** Which VirtualService governs a host on sidecars: the most specific host wins, then the oldest. */
export interface MeshRules {
  readonly find: (hostname: string) => VirtualService | undefined;
  /** Every host that a VirtualService names, with its owner, in order. */
  readonly hosts: ReadonlyMap<string, VirtualService>;
}

/** Takes the virtual services oldest first; those without rules of the section do not count. */
export function indexMeshRules(
  virtualServices: readonly VirtualService[],
  section: "http" | "tls" | "tcp" = "http",
): MeshRules {
  const hosts = new Map<string, VirtualService>();
  for (const virtualService of virtualServices) {
    if (virtualService.spec[section].length === 0 || !virtualService.spec.gateways.includes("mesh")) continue;
    for (const host of virtualService.spec.hosts) {
      const full = fullHostname(host, virtualService.meta.namespace);
      if (!hosts.has(full)) hosts.set(full, virtualService);
    }
  }
  const wildcards = [...hosts.keys()].filter(isWildcard).sort((a, b) => b.length - a.length);
  return {
    hosts,
    find: (hostname) => {
      const exact = hosts.get(hostname);
      if (exact) return exact;
      const covering = wildcards.find((wildcard) => hostCovers(wildcard, hostname));
      return covering === undefined ? undefined : hosts.get(covering);
    },
  };
}

/** The hosts of a port's HTTP services, before it is known which rules govern them. */
export interface ServiceHosts {
  readonly hosts: readonly Omit<HostPlan, "virtualServices">[];
  /** All their domains. */
  readonly domains: ReadonlySet<string>;
}

/** `onPort` gives the HTTP port of a service that is meant, if it has one. */
export function planServiceHosts(
  services: readonly MeshService[],
  onPort: (service: MeshService) => number | undefined,
  namespace: string,
): ServiceHosts {
  const taken = new Set<string>();
  const hosts = services.flatMap((service) => {
    const port = onPort(service);
    if (port === undefined) return [];
    const domains = serviceDomains(service, namespace).filter((domain) => !taken.has(domain) && taken.add(domain));
    return [{ name: `${service.hostname}:${port}`, domains, domainText: domains.join(" "), service, port }];
  });
  return { hosts: hosts.filter(({ domains }) => domains.length > 0), domains: taken };
}

/**
 * The hosts of one outbound port: its HTTP services, and the hosts of VirtualServices that no service has. The latter
 * are there on every HTTP port, since nothing says which port they mean.
 */
export function planOutboundHosts(
  services: ServiceHosts,
  rules: MeshRules,
  port: number,
  namespace: string,
  isService: (hostname: string) => boolean,
): HostPlan[] {
  const plans: HostPlan[] = services.hosts.map((host) => {
    const governing = host.service && rules.find(host.service.hostname);
    return { ...host, virtualServices: governing ? [governing] : [] };
  });
  const taken = new Set<string>();
  for (const [host, owner] of rules.hosts) {
    if (isService(host)) continue;
    const domains = hostDomains(host, namespace).filter(
      (domain) => !services.domains.has(domain) && !taken.has(domain),
    );
    for (const domain of domains) taken.add(domain);
    if (domains.length > 0)
      plans.push({ name: `${host}:${port}`, domains, domainText: domains.join(" "), port, virtualServices: [owner] });
  }
  return plans;
}

/** As Istio: the full name, and what Kubernetes' search domains allow a client of the namespace to leave off. */
function hostDomains(host: string, namespace: string): string[] {
  const [, name, own] = IN_CLUSTER.exec(host) ?? [];
  if (name === undefined || own === undefined) return [host];
  return [host, `${name}.${own}.svc`, `${name}.${own}`, ...(own === namespace ? [name] : [])];
}

const IN_CLUSTER = new RegExp(`^([^.*]+)\\.([^.]+)\\.svc\\.${CLUSTER_DOMAIN.replaceAll(".", "\\.")}$`);

/** The names of a service's host, and its virtual addresses. */
function serviceDomains(service: MeshService, namespace: string): string[] {
  const domains = hostDomains(service.hostname, namespace);
  // A headless service's pods have names of their own below it.
  if (service.headless) domains.push(`*.${service.hostname}`);
  domains.push(...service.addresses.filter((address) => isIP(address) === 4));
  domains.push(...service.addresses.filter((address) => isIP(address) === 6).map((address) => `[${address}]`));
  return domains;
}
