// What one sidecar or gateway reaches: the services and virtual services that are exported to it and, for a sidecar,
// that its Sidecar resource imports.
import type { EgressListener, Sidecar, SidecarPort } from "../resources/sidecar.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { CLUSTER_DOMAIN, fullHostname, hostCovers } from "./hostname.js";
import type { Mesh } from "./mesh.js";
import type { MeshService } from "./service.js";
import type { Services } from "./services.js";
import { anyPatternCovers, type HostPattern, isExported, parseHostPattern } from "./visibility.js";
import { push, selects } from "./workloads.js";

/** The services and rules behind one egress listener of a Sidecar, or behind everything where there is no Sidecar. */
export interface EgressScope {
  /** Undefined: one listener for each port of the services. */
  readonly port?: SidecarPort;
  readonly bind?: string;
  /** The listeners bind their ports even where traffic is captured. */
  readonly binds: boolean;
  /** One for each host name, in order of host names. */
  readonly services: readonly MeshService[];
  /** Oldest first. */
  readonly virtualServices: readonly VirtualService[];
}

export interface Scope {
  readonly sidecar?: Sidecar;
  /** The scope has everything that is exported to the namespace: no Sidecar narrows it. */
  readonly complete: boolean;
  readonly egress: readonly EgressScope[];
  /**
   * The service a destination's host means, as seen from the namespace of the rule that names it. Destinations of a rule
   * in scope are reachable even when the Sidecar does not import them, as in Istio.
   */
  readonly resolve: (host: string, ruleNamespace: string) => MeshService | undefined;
}

export interface Viewer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Everything that is exported to the namespace; what a gateway, and a sidecar without a Sidecar resource, reaches. */
export function namespaceScope(mesh: Mesh, namespace: string): Scope {
  const services = visibleServices(mesh, namespace);
  return {
    complete: true,
    egress: [
      {
        binds: false,
        services: services.all,
        virtualServices: mesh.virtualServices.filter((candidate) =>
          isExported(candidate.spec.exportTo, candidate.meta.namespace, namespace),
        ),
      },
    ],
    resolve: (host, ruleNamespace) => resolveHost(services.byHost, host, ruleNamespace),
  };
}

export function sidecarScope(mesh: Mesh, viewer: Viewer): Scope {
  const all = namespaceScope(mesh, viewer.namespace);
  const sidecar = findSidecar(mesh, viewer);
  const everything = all.egress[0];
  if (!sidecar || !everything) return all;
  if (sidecar.spec.egress.length === 0) return { ...all, sidecar };
  return {
    sidecar,
    complete: false,
    egress: sidecar.spec.egress.map((listener) => narrow(everything, listener, viewer.namespace)),
    resolve: all.resolve,
  };
}

/** A Sidecar that selects the workload, else the namespace's, else the root namespace's; the oldest of each. */
export function findSidecar(mesh: Mesh, viewer: Viewer): Sidecar | undefined {
  const own = mesh.sidecars.get(viewer.namespace) ?? [];
  const root = mesh.sidecars.get(mesh.options.rootNamespace) ?? [];
  const selecting = (sidecar: Sidecar) =>
    sidecar.spec.workloadSelector !== undefined && selects(sidecar.spec.workloadSelector, viewer.labels);
  const general = (sidecar: Sidecar) => sidecar.spec.workloadSelector === undefined;
  return own.find(selecting) ?? own.find(general) ?? root.find(general);
}

function narrow(all: EgressScope, listener: EgressListener, namespace: string): EgressScope {
  const patterns = listener.hosts.map((host) => parseHostPattern(host, namespace));
  const { port } = listener;
  return {
    ...(port ? { port } : {}),
    ...(listener.bind ? { bind: listener.bind } : {}),
    binds: listener.captureMode === "NONE",
    services: all.services.filter(
      (service) =>
        anyPatternCovers(patterns, service.namespace, service.hostname) &&
        (!port?.number || service.ports.some((own) => own.number === port.number)),
    ),
    virtualServices: all.virtualServices.filter((candidate) => importsVirtualService(patterns, candidate)),
  };
}

function importsVirtualService(patterns: readonly HostPattern[], candidate: VirtualService): boolean {
  const { namespace } = candidate.meta;
  return candidate.spec.hosts.some((host) => {
    const full = fullHostname(host, namespace);
    return patterns.some(
      (pattern) =>
        (pattern.namespace === "*" || pattern.namespace === namespace) &&
        (hostCovers(pattern.host, full) || hostCovers(full, pattern.host)),
    );
  });
}

/** What namespaces see of a mesh's services; asked by every proxy, and by the meshes after one while it stays so. */
const seenFrom = new WeakMap<Services, Map<string, VisibleServices>>();

interface VisibleServices {
  readonly byHost: ReadonlyMap<string, MeshService>;
  /** In order of host names. */
  readonly all: readonly MeshService[];
}

/** By host name: of several definitions the viewer's own namespace's wins, then the platform's, then the oldest. */
function visibleServices({ services }: Mesh, namespace: string): VisibleServices {
  const byNamespace = seenFrom.get(services) ?? new Map<string, VisibleServices>();
  seenFrom.set(services, byNamespace);
  const known = byNamespace.get(namespace);
  if (known) return known;
  const visible = new Map<string, MeshService>();
  for (const [hostname, definitions] of services.byHost) {
    const seen = definitions.filter((service) => isExported(service.exportTo, service.namespace, namespace));
    const chosen =
      seen.find((service) => service.namespace === namespace) ??
      seen.find((service) => service.name !== undefined) ??
      seen[0];
    if (chosen) visible.set(hostname, chosen);
  }
  const answer = { byHost: visible, all: [...visible.values()] };
  byNamespace.set(namespace, answer);
  return answer;
}

/** Also finds what people write in between: "name.namespace" and "name.namespace.svc". */
function resolveHost(
  services: ReadonlyMap<string, MeshService>,
  host: string,
  ruleNamespace: string,
): MeshService | undefined {
  const full = fullHostname(host, ruleNamespace);
  return (
    services.get(full) ??
    services.get(`${full}.${CLUSTER_DOMAIN}`) ??
    services.get(`${full}.svc.${CLUSTER_DOMAIN}`) ??
    [...wildcardsCovering(services, full)][0]
  );
}

function* wildcardsCovering(services: ReadonlyMap<string, MeshService>, host: string): Iterable<MeshService> {
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
    const service = services.get(`*${host.slice(dot)}`);
    if (service) yield service;
  }
}

/** Groups a scope's services by port number, in rising order of ports. */
export function servicesByPort(services: readonly MeshService[]): ReadonlyMap<number, readonly MeshService[]> {
  const byPort = new Map<number, MeshService[]>();
  for (const service of services) for (const port of service.ports) push(byPort, port.number, service);
  return new Map([...byPort].sort(([a], [b]) => a - b));
}
