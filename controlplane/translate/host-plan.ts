// What a sidecar does with each HTTP host of a port, before any of it is encoded: which rules govern the host, and under
// which names it is called.

import { isIP } from "node:net";
import { CLUSTER_DOMAIN, fullHostname, hostCovers, isWildcard } from "../mesh/hostname.js";
import type { EgressScope } from "../mesh/scope.js";
import { isHttp, type MeshService } from "../mesh/service.js";
import type { VirtualService } from "../resources/virtual-service.js";

export interface HostPlan {
  /** Unique within its route configuration. */
  readonly name: string;
  /** The names it is called by, most usual first; none is in two plans of one port. */
  readonly domains: readonly string[];
  /** The host's own service, where it is one. */
  readonly service?: MeshService;
  /** Those whose rules govern it, in order; empty where none speaks of it. */
  readonly virtualServices: readonly VirtualService[];
}

/** Which VirtualService governs a host on sidecars: the most specific host wins, then the oldest. */
export interface MeshRules {
  readonly find: (hostname: string) => VirtualService | undefined;
  /** Every host that a VirtualService names, with its owner, in order. */
  readonly hosts: ReadonlyMap<string, VirtualService>;
}

/** Takes the virtual services oldest first. */
export function indexMeshRules(virtualServices: readonly VirtualService[]): MeshRules {
  const hosts = new Map<string, VirtualService>();
  for (const virtualService of virtualServices) {
    if (virtualService.spec.http.length === 0 || !virtualService.spec.gateways.includes("mesh")) continue;
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

/**
 * The hosts of one outbound port: its HTTP services, and the hosts of VirtualServices that no service has. The latter
 * are there on every HTTP port, since nothing says which port they mean.
 */
export function planOutboundHosts(
  egress: EgressScope,
  rules: MeshRules,
  port: number,
  namespace: string,
  isService: (hostname: string) => boolean,
): HostPlan[] {
  const taken = new Set<string>();
  const free = (domains: readonly string[]) => domains.filter((domain) => !taken.has(domain) && taken.add(domain));
  const plans: HostPlan[] = [];
  for (const service of egress.services) {
    if (!service.ports.some((own) => own.number === port && isHttp(own.protocol))) continue;
    const domains = free(serviceDomains(service, namespace));
    if (domains.length === 0) continue;
    const governing = rules.find(service.hostname);
    const virtualServices = governing ? [governing] : [];
    plans.push({ name: `${service.hostname}:${port}`, domains, service, virtualServices });
  }
  for (const [host, owner] of rules.hosts) {
    if (isService(host)) continue;
    const domains = free(hostDomains(host, namespace));
    if (domains.length > 0) plans.push({ name: `${host}:${port}`, domains, virtualServices: [owner] });
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
export function serviceDomains(service: MeshService, namespace: string): string[] {
  const domains = hostDomains(service.hostname, namespace);
  // A headless service's pods have names of their own below it.
  if (service.headless) domains.push(`*.${service.hostname}`);
  domains.push(...service.addresses.filter((address) => isIP(address) === 4));
  domains.push(...service.addresses.filter((address) => isIP(address) === 6).map((address) => `[${address}]`));
  return domains;
}
