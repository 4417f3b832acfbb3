// What the parts of one proxy's translation share: the mesh as this proxy sees it. Built once for each translation.
import type { DestinationPolicy } from "../mesh/destination-rules.js";
import type { Mesh } from "../mesh/mesh.js";
import { namespaceScope, type Scope, sidecarScope } from "../mesh/scope.js";
import type { MeshService, ServicePort } from "../mesh/service.js";
import type { Proxy } from "../proxy/proxy.js";
import type { PolicySettings } from "../resources/destination-rule.js";
import type { Destination } from "../resources/virtual-service.js";
import { clusterName } from "./cluster-name.js";
import { effectiveSettings } from "./cluster-policy.js";
import type { Memo } from "./memo.js";
import type { TranslateOptions } from "./options.js";

export interface Context {
  readonly mesh: Mesh;
  readonly proxy: Proxy;
  readonly scope: Scope;
  readonly options: TranslateOptions;
  /** What earlier translations for proxies of the same view left. */
  readonly memo: Memo;
}

export function createContext(mesh: Mesh, proxy: Proxy, options: TranslateOptions, memo: Memo): Context {
  const { namespace, role } = proxy;
  const scope = memo.of("scope", { cheap: [mesh] }, () =>
    role === "sidecar" ? sidecarScope(mesh, proxy) : namespaceScope(mesh, namespace),
  );
  return { mesh, proxy, scope, options, memo };
}

export function destinationPolicy(context: Context, service: MeshService): DestinationPolicy | undefined {
  return context.mesh.destinationRules.find(context.proxy, service.hostname, service.namespace);
}

/** A destination that exists. */
export interface Target {
  readonly service: MeshService;
  readonly port: ServicePort;
  readonly subset: string;
  readonly cluster: string;
  readonly policy: DestinationPolicy | undefined;
}

/**
 * The cluster a destination means, or what is missing. Without a port in the destination it is the listener's, if the
 * service has that, else the service's only one.
 */
export function resolveDestination(
  context: Context,
  destination: Destination,
  ruleNamespace: string,
  listenerPort: number,
): Target | { readonly missing: string } {
  const service = context.scope.resolve(destination.host, ruleNamespace);
  if (!service) return { missing: `host ${destination.host}` };
  const number = destination.port ?? defaultPort(service, listenerPort);
  const port = service.ports.find((candidate) => candidate.number === number);
  if (!port) return { missing: `port ${number ?? "(none named)"} of ${service.hostname}` };
  const policy = destinationPolicy(context, service);
  const subset = destination.subset ?? "";
  if (subset !== "" && !policy?.subsets.has(subset)) return { missing: `subset ${subset} of ${service.hostname}` };
  return { service, port, subset, policy, cluster: clusterName("outbound", port.number, subset, service.hostname) };
}

/** What the DestinationRule says of the target's subset and port. */
export function targetSettings({ policy, subset, port }: Target): PolicySettings {
  return effectiveSettings(port.number, policy?.trafficPolicy, policy?.subsets.get(subset)?.trafficPolicy);
}

function defaultPort(service: MeshService, listenerPort: number): number | undefined {
  if (service.ports.some((port) => port.number === listenerPort)) return listenerPort;
  return service.ports.length === 1 ? service.ports[0]?.number : undefined;
}
