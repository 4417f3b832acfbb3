// Which policies take part in a proxy's configuration: those that it should be told of, and that it then acknowledges.

import { ruleOrigin } from "../mesh/delegates.js";
import { appliesTo } from "../mesh/destination-rules.js";
import { extensionsFor } from "../mesh/extensions.js";
import { gatewayKey, nameOfGateway } from "../mesh/gateway-name.js";
import { fullHostname, hostCovers, isWildcard } from "../mesh/hostname.js";
import type { Mesh } from "../mesh/mesh.js";
import { findSidecar, namespaceScope, type Scope, sidecarScope } from "../mesh/scope.js";
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
  #common: CommonView | undefined;

  /**
   * The resourceKeys of the policies that all proxies of this one's view are concerned with; extensions are apart. Found
   * in steps between which others get a turn.
   */
  *ofView(mesh: Mesh, proxy: Proxy): Generator<void, readonly string[]> {
    const lists = KINDS.map((kind) => mesh.lists.get(kind));
    if (lists.some((list, index) => list !== this.#lists[index])) {
      this.#lists = lists;
      this.#byView = new Map();
      this.#common = undefined;
    }
    const byView = this.#byView;
    const view = viewOf(mesh, proxy);
    const known = byView.get(view) ?? (yield* this.#find(mesh, proxy));
    byView.set(view, known);
    return known;
  }

  /** Sidecars of most namespaces see the same, and nothing that others do not. */
  *#find(mesh: Mesh, proxy: Proxy): Generator<void, readonly string[]> {
    this.#common ??= { isFor: seeNothingOfTheirOwn(mesh), keys: undefined };
    const common = this.#common;
    if (!common.isFor(proxy)) return [...(yield* concerning(mesh, proxy))];
    common.keys ??= [...(yield* concerning(mesh, proxy))];
    return common.keys;
  }

  /** The resourceKeys of the extensions that are for the proxy itself. */
  ofProxy(mesh: Mesh, proxy: Proxy): readonly string[] {
    return extensionsFor(mesh, proxy).map(keyOf);
  }
}

interface CommonView {
  readonly isFor: (proxy: Proxy) => boolean;
  keys: readonly string[] | undefined;
}

/** Tells sidecars that no Sidecar narrows, and that see exactly what is exported to all. */
function seeNothingOfTheirOwn(mesh: Mesh): (proxy: Proxy) => boolean {
  const isLimited = (exportTo: readonly string[]) => exportTo.length > 0 && !exportTo.includes("*");
  const exported = [
    ...mesh.virtualServices.map(({ meta, spec }) => ({ namespace: meta.namespace, exportTo: spec.exportTo })),
    ...mesh.services.all,
  ].filter(({ exportTo }) => isLimited(exportTo));
  const rules = mesh.destinationRules.all.filter(
    ({ spec }) => isLimited(spec.exportTo) || spec.workloadSelector !== undefined,
  );
  // Of several definitions of a host a namespace sees its own.
  const definitions = [...mesh.services.byHost.values()].filter((services) => services.length > 1).flat();
  const preferring = new Set(definitions.map(({ namespace }) => namespace));
  return (proxy) =>
    proxy.role === "sidecar" &&
    findSidecar(mesh, proxy) === undefined &&
    !preferring.has(proxy.namespace) &&
    !exported.some(({ namespace, exportTo }) => isExported(exportTo, namespace, proxy.namespace)) &&
    !rules.some((rule) => appliesTo(rule, proxy));
}

/** Each key once, however many proxies it concerns. */
const keys = new WeakMap<AnyResource, string>();

function keyOf(resource: AnyResource): string {
  const key = keys.get(resource) ?? resourceKey(resource);
  keys.set(resource, key);
  return key;
}

function* concerning(mesh: Mesh, proxy: Proxy): Generator<void, ReadonlySet<string>> {
  const scope = proxy.role === "sidecar" ? sidecarScope(mesh, proxy) : namespaceScope(mesh, proxy.namespace);
  const [gateways, rules] = proxy.role === "sidecar" ? [[], meshRules(scope)] : gatewayRules(mesh, proxy);
  const found = new Set([...gateways, ...(scope.sidecar ? [scope.sidecar] : [])].map(keyOf));
  const services = new Map<string, MeshService>();
  for (const egress of scope.egress) for (const service of egress.services) services.set(service.hostname, service);
  for (const rule of rules) {
    for (const service of destinations(rule, scope)) services.set(service.hostname, service);
    found.add(keyOf(rule));
    for (const index of rule.spec.http.keys()) found.add(keyOf(ruleOrigin(rule, index).owner));
    yield;
  }
  for (const service of services.values()) {
    for (const definition of definitions(mesh, service)) found.add(keyOf(definition));
    yield;
  }
  for (const rule of mesh.destinationRules.all) {
    if (appliesTo(rule, proxy) && reaches(services, rule)) found.add(keyOf(rule));
    yield;
  }
  for (const rollout of mesh.rollouts.values()) {
    const { virtualService } = rollout.spec;
    if (found.has(`VirtualService/${rollout.meta.namespace}/${virtualService}`)) found.add(keyOf(rollout));
  }
  return found;
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
