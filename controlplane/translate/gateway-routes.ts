// A gateway's HTTP: for each host of its servers, the rules of the VirtualServices that are bound to them.
import { gatewayKey, nameOfGateway } from "../mesh/gateway-name.js";
import { compareSpecificity, fullHostname, hostIntersection } from "../mesh/hostname.js";
import { isExported, namespaceMatches, parseHostPattern } from "../mesh/visibility.js";
import { finish, type Steps } from "../policy/steps.js";
import type { Gateway, Server } from "../resources/gateway.js";
import type { VirtualService } from "../resources/virtual-service.js";
import type { Context } from "./context.js";
import type { EnvoyResource } from "./resource.js";
import { type EncodedHost, encodeHost, routeConfiguration } from "./route-configuration.js";
import { type GoverningRules, hostRulesInSteps, ruleDependencies } from "./rules.js";
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
    const site = { gateway: nameOfGateway(entry.gateway), port: entry.server.port.number, secure: isSecure(entry) };
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

function isSecure({ server }: GatewayServer): boolean {
  return server.tls?.mode !== undefined;
}

/** A route configuration for the servers; hosts that no rule speaks of get 404 from Envoy itself. */
export function gatewayRoutes(name: string, servers: readonly GatewayServer[], context: Context): EnvoyResource[] {
  const redirects = httpsRedirectHosts(servers, context);
  const port = servers[0]?.server.port.number ?? 0;
  const serving = servers.filter(({ server }) => !server.tls?.httpsRedirect);
  const hosts = planGatewayHosts(serving, context)
    .filter(({ domain }) => !redirects.includes(domain))
    .map((plan) => finish(encodedGatewayHost(name, plan, context)));
  // Under the names that they would have if they were served, so that one takes the other's place: Envoy refuses a
  // configuration in which both are there for a moment.
  const redirecting = redirects.map((host) => encodeHost(name, redirectingVirtualHost(hostName(host, port), [host])));
  return routeConfiguration(name, [...hosts, ...redirecting], [], context.proxy.separateHosts);
}

function hostName(domain: string, port: number): string {
  return `${domain}:${port}`;
}

/** One host of a route configuration, as it was before where nothing that it depends on changed. */
export function encodedGatewayHost(
  name: string,
  { domain, governing }: GatewayHostPlan,
  context: Context,
): Steps<EncodedHost> {
  const { memo, mesh } = context;
  const port = governing[0]?.site.port ?? 0;
  const virtualServices = governing.map(({ virtualService }) => virtualService);
  const sites = governing.map(({ site }) => `${site.gateway}:${site.port}`).join(" ");
  const dependencies = {
    cheap: [sites, ...virtualServices, mesh.services, mesh.destinationRules, mesh.rollouts],
    exact: () => [sites, ...virtualServices.flatMap((own) => ruleDependencies(own, context))],
  };
  return memo.steps(`host ${name}/${domain}`, dependencies, function* () {
    const rules = yield* hostRulesInSteps(governing, context);
    return encodeHost(name, yield* decidedVirtualHost(hostName(domain, port), [domain], rules, undefined));
  });
}

/** The hosts of servers that redirect, and those within them that rules speak of: another server may serve the rest. */
function httpsRedirectHosts(servers: readonly GatewayServer[], context: Context): string[] {
  const redirecting = servers.filter(({ server }) => server.tls?.httpsRedirect);
  const ruled = planGatewayHosts(redirecting, context).map(({ domain }) => domain);
  const hosts = redirecting.flatMap(({ gateway, server }) =>
    server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace).host),
  );
  return [...new Set([...hosts, ...ruled])].sort(compareSpecificity);
}
