// A gateway's HTTP: for each host of its servers, the rules of the VirtualServices that are bound to them.
import { create } from "@bufbuild/protobuf";
import type { VirtualHost } from "../gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/config/route/v3/route_pb.js";
import { gatewayKey } from "../mesh/analysis.js";
import { compareSpecificity, fullHostname, hostCovers, hostIntersection } from "../mesh/hostname.js";
import { isExported, namespaceMatches, parseHostPattern } from "../mesh/visibility.js";
import type { Gateway, Server } from "../resources/gateway.js";
import type { VirtualService } from "../resources/virtual-service.js";
import type { Context } from "./context.js";
import { MAX_DIRECT_RESPONSE_BYTES } from "./outbound-routes.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { buildHostRules, type GoverningRules } from "./rules.js";
import { decidedVirtualHost, redirectingVirtualHost } from "./virtual-host.js";

/** A server of a Gateway that selects the proxy. */
export interface GatewayServer {
  readonly gateway: Gateway;
  readonly server: Server;
}

/** One host of a gateway's port: all rules for it, in order. */
export interface GatewayHostPlan {
  readonly domain: string;
  readonly governing: readonly GoverningRules[];
}

/** The name of a Gateway as sites and VirtualServices give it: namespace/name. */
export function nameOfGateway(gateway: Gateway): string {
  return `${gateway.meta.namespace}/${gateway.meta.name}`;
}

/** The VirtualServices bound to a server, oldest first, each with those of its hosts that the server serves. */
export function boundVirtualServices(
  { gateway, server }: GatewayServer,
  context: Context,
): { readonly virtualService: VirtualService; readonly hosts: readonly string[] }[] {
  const name = nameOfGateway(gateway);
  const patterns = server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace));
  return context.mesh.virtualServices.flatMap((virtualService) => {
    const { meta, spec } = virtualService;
    if (!spec.gateways.some((bound) => gatewayKey(bound, meta.namespace) === name)) return [];
    if (!isExported(spec.exportTo, meta.namespace, gateway.meta.namespace)) return [];
    const hosts = spec.hosts.flatMap((host) =>
      patterns
        .filter((pattern) => namespaceMatches(pattern, meta.namespace))
        .flatMap((pattern) => hostIntersection(pattern.host, fullHostname(host, meta.namespace)) ?? []),
    );
    return hosts.length > 0 ? [{ virtualService, hosts: [...new Set(hosts)] }] : [];
  });
}

/** The hosts of the servers that share one route configuration, the most specific first. */
export function planGatewayHosts(servers: readonly GatewayServer[], context: Context): GatewayHostPlan[] {
  const byDomain = new Map<string, GoverningRules[]>();
  for (const entry of servers) {
    const site = { gateway: nameOfGateway(entry.gateway), port: entry.server.port.number };
    for (const { virtualService, hosts } of boundVirtualServices(entry, context)) {
      if (virtualService.spec.http.length === 0) continue;
      for (const host of hosts) {
        const governing = byDomain.get(host) ?? [];
        byDomain.set(host, governing);
        if (!governing.some((own) => own.virtualService === virtualService)) governing.push({ virtualService, site });
      }
    }
  }
  return [...byDomain]
    .sort(([a], [b]) => compareSpecificity(a, b))
    .map(([domain, governing]) => ({ domain, governing }));
}

/** A route configuration for the servers; hosts that no rule speaks of get 404 from Envoy itself. */
export function gatewayRoutes(name: string, servers: readonly GatewayServer[], context: Context): EnvoyResource {
  const redirects = httpsRedirectHosts(servers);
  const plans = planGatewayHosts(servers, context);
  const hosts = plans
    .filter((plan) => !redirects.some((redirected) => hostCovers(redirected, plan.domain)))
    .map((plan) => gatewayVirtualHost(plan, servers, context));
  const redirecting = redirects.map((host) => redirectingVirtualHost(`${host}:redirect`, [host]));
  const configuration = create(RouteConfigurationSchema, {
    name,
    virtualHosts: [...hosts, ...redirecting],
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
    ignorePortInHostMatching: true,
  });
  return encodeResource(RouteConfigurationSchema, name, configuration);
}

function gatewayVirtualHost(plan: GatewayHostPlan, servers: readonly GatewayServer[], context: Context): VirtualHost {
  const port = servers[0]?.server.port.number ?? 0;
  return decidedVirtualHost(
    `${plan.domain}:${port}`,
    [plan.domain],
    buildHostRules(plan.governing, context),
    undefined,
  );
}

function httpsRedirectHosts(servers: readonly GatewayServer[]): string[] {
  const hosts = servers
    .filter(({ server }) => server.tls?.httpsRedirect)
    .flatMap(({ gateway, server }) => server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace).host));
  return [...new Set(hosts)].sort(compareSpecificity);
}
