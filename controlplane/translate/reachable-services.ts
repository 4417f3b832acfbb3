// The services that a proxy needs clusters for: those in its scope, and those that rules in its scope name.
import type { Scope } from "../mesh/scope.js";
import type { MeshService } from "../mesh/service.js";
import type { VirtualService } from "../resources/virtual-service.js";
import type { Context } from "./context.js";

/** In order of host names; the same list while nothing in it changes. */
export function reachableServices(context: Context): readonly MeshService[] {
  const { complete, egress } = context.scope;
  const [first] = egress;
  if (complete && first) return first.services;
  const find = () => {
    const reachable = new Map<string, MeshService>();
    for (const { services, virtualServices } of egress) {
      for (const service of services) reachable.set(service.hostname, service);
      for (const virtualService of virtualServices) {
        for (const service of destinations(virtualService, context.scope)) reachable.set(service.hostname, service);
      }
    }
    return [...reachable.values()].sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
  };
  return context.memo.list("reachable services", [context.scope], find);
}

/** The services that a VirtualService's rules send requests to. */
export function destinations({ meta, spec }: VirtualService, scope: Scope): MeshService[] {
  const named = [
    ...spec.http.flatMap((rule) => [...rule.route, ...rule.mirrors]),
    ...spec.tls.flatMap((rule) => rule.route),
    ...spec.tcp.flatMap((rule) => rule.route),
  ];
  return named.flatMap(({ destination }) => scope.resolve(destination.host, meta.namespace) ?? []);
}
