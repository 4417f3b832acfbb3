// Which policies take part in a proxy's configuration: those that it should be told of, and that it then acknowledges.

import { ruleOrigin } from "../mesh/delegates.js";
import { appliesTo } from "../mesh/destination-rules.js";
import { extensionsFor } from "../mesh/extensions.js";
import { gatewayKey, nameOfGateway } from "../mesh/gateway-name.js";
import { fullHostname, hostCovers, isWildcard } from "../mesh/hostname.js";
import type { Mesh } from "../mesh/mesh.js";
import { namespaceScope, type Scope, sidecarScope } from "../mesh/scope.js";
import type { MeshService } from "../mesh/service.js";
import { isExported } from "../mesh/visibility.js";
import { selects } from "../mesh/workloads.js";
import type { Proxy } from "../proxy/proxy.js";
import type { DestinationRule } from "../resources/destination-rule.js";
import type { AnyResource, Kind } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { destinations } from "../translate/reachable-services.js";
import { viewOf } from "../translate/view.js";

/** What is looked at here; while none of their objects changes, the answers stay. */
const KINDS: readonly Kind[] = [
  "VirtualService",
  "DestinationRule",
  "Gateway",
  "Sidecar",
  "ServiceEntry",
  "WorkloadEntry",
  "StagedRollout",
  "Service",
];

/** Answers for many proxies of mesh after mesh, and finds anew only what may have changed. */
export class Concerns {
  #lists: readonly unknown[] = [];
  #byView = new Map<string, readonly string[]>();

  /**
   * The resourceKeys of the policies that all proxies of this one's view are concerned with; extensions are apart. Found
   * in steps between which others get a turn.
   */
  *ofView(mesh: Mesh, proxy: Proxy): Generator<void, readonly string[]> {
    const lists = KINDS.map((kind) => mesh.lists.get(kind));
    if (lists.some((list, index) => list !== this.#lists[index])) {
      this.#lists = lists;
      this.#byView = new Map();
    }
    const byView = this.#byView;
    const view = viewOf(mesh, proxy);
    const known = byView.get(view) ?? [...(yield* concerning(mesh, proxy))];
    byView.set(view, known);
    return known;
  }

  /** The resourceKeys of the extensions that are for the proxy itself. */
  ofProxy(mesh: Mesh, proxy: Proxy): readonly string[] {
    return extensionsFor(mesh, proxy).map(resourceKey);
  }
}

function* concerning(mesh: Mesh, proxy: Proxy): Generator<void, ReadonlySet<string>> {
  const scope = proxy.role === "sidecar" ? sidecarScope(mesh, proxy) : namespaceScope(mesh, proxy.namespace);
  const [gateways, rules] = proxy.role === "sidecar" ? [[], meshRules(scope)] : gatewayRules(mesh, proxy);
  const keys = new Set([...gateways, ...(scope.sidecar ? [scope.sidecar] : [])].map(resourceKey));
  const services = new Map<string, MeshService>();
  for (const egress of scope.egress) for (const service of egress.services) services.set(service.hostname, service);
  for (const rule of rules) {
    for (const service of destinations(rule, scope)) services.set(service.hostname, service);
    keys.add(resourceKey(rule));
    for (const index of rule.spec.http.keys()) keys.add(resourceKey(ruleOrigin(rule, index).owner));
    yield;
  }
  for (const service of services.values()) {
    for (const definition of definitions(mesh, service)) keys.add(resourceKey(definition));
    yield;
  }
  for (const rule of mesh.destinationRules.all) {
    if (appliesTo(rule, proxy) && reaches(services, rule)) keys.add(resourceKey(rule));
    yield;
  }
  for (const rollout of mesh.rollouts.values()) {
    const { virtualService } = rollout.spec;
    if (keys.has(`VirtualService/${rollout.meta.namespace}/${virtualService}`)) keys.add(resourceKey(rollout));
  }
  return keys;
}

function reaches(services: ReadonlyMap<string, MeshService>, { meta, spec }: DestinationRule): boolean {
  const host = fullHostname(spec.host, meta.namespace);
  return services.has(host) || (isWildcard(host) && [...services.keys()].some((name) => hostCovers(host, name)));
}

function meshRules(scope: Scope): readonly VirtualService[] {
  return scope.egress.flatMap(({ virtualServices }) =>
    virtualServices.filter(({ spec }) => spec.gateways.includes("mesh")),
  );
}

/** The Gateways that select the proxy, and the rules that are bound to them. */
function gatewayRules(mesh: Mesh, { labels }: Proxy) {
  const gateways = [...mesh.gateways.values()].filter(({ spec }) => selects(spec.selector, labels));
  const named = new Map(gateways.map((gateway) => [nameOfGateway(gateway), gateway]));
  const rules = mesh.virtualServices.filter(({ meta, spec }) =>
    spec.gateways.some((name) => {
      const gateway = named.get(gatewayKey(name, meta.namespace));
      return gateway !== undefined && isExported(spec.exportTo, meta.namespace, gateway.meta.namespace);
    }),
  );
  return [gateways, rules] as const;
}

/** The policies that a service, and its endpoints, come from. */
function definitions(mesh: Mesh, { source, namespace }: MeshService): readonly AnyResource[] {
  const entry = source.kind === "ServiceEntry" ? [source] : [];
  const selector =
    source.kind === "ServiceEntry"
      ? source.spec.workloadSelector
      : source.kind === "Service" && Object.keys(source.spec.selector).length > 0
        ? source.spec.selector
        : undefined;
  if (selector === undefined) return entry;
  return [...entry, ...mesh.workloads.entriesOf(namespace).filter(({ spec }) => selects(selector, spec.labels))];
}
