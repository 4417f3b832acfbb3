// A request's port and authority -> the host whose rules decide it, at a given proxy: what Envoy's virtual hosts do.
import { hostCovers, isWildcard } from "../mesh/hostname.js";
import type { Context } from "../translate/context.js";
import { gatewayRouteServers } from "../translate/gateway.js";
import { planGatewayHosts } from "../translate/gateway-routes.js";
import { httpPorts, outboundHosts } from "../translate/outbound-routes.js";
import type { GoverningRules } from "../translate/rules.js";

export interface FoundHost {
  /** The domain that the authority matched. */
  readonly domain: string;
  /** Empty where no VirtualService speaks of the host. */
  readonly governing: readonly GoverningRules[];
  /** Where requests go without rules; undefined for a host that is no service. */
  readonly service?: { readonly hostname: string };
}

/** Says why there is no such host where there is none. */
export function findHost(
  authority: string,
  port: number,
  gateway: string | undefined,
  context: Context,
): FoundHost | { readonly error: string } {
  return context.proxy.role === "router"
    ? findGatewayHost(authority, port, gateway, context)
    : findOutboundHost(authority, port, context);
}

/** HTTP ports that the proxy accepts requests on, as its policies number them. */
export function requestPorts(context: Context): number[] {
  const ports =
    context.proxy.role === "router"
      ? [...gatewayRouteServers(context).values()].flatMap((servers) => servers.map(({ server }) => server.port.number))
      : httpPorts(context).map((entry) => entry.port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

function findOutboundHost(authority: string, port: number, context: Context): FoundHost | { readonly error: string } {
  const http = httpPorts(context);
  // Without any service, hosts that only a VirtualService names can still be explained: they are on every port.
  const all = http.length > 0 ? http : context.scope.egress.map((egress) => ({ egress, port, services: [] }));
  const entries = all.filter((entry) => entry.port === port);
  if (entries.length === 0) return noPort(port, context);
  for (const entry of entries) {
    const plans = outboundHosts(entry, context);
    const domain = matchDomain(
      authority,
      plans.flatMap((plan) => plan.domains),
    );
    const plan = plans.find((candidate) => domain !== undefined && candidate.domains.includes(domain));
    if (!plan || domain === undefined) continue;
    const governing = plan.virtualServices.map((virtualService) => ({
      virtualService,
      site: { gateway: "mesh", port },
    }));
    return { domain, governing, ...(plan.service ? { service: plan.service } : {}) };
  }
  return {
    error: `no service or VirtualService in scope has the host ${authority} on port ${port}: the sidecar answers 502, or passes captured traffic on`,
  };
}

function findGatewayHost(
  authority: string,
  port: number,
  gateway: string | undefined,
  context: Context,
): FoundHost | { readonly error: string } {
  const configurations = [...gatewayRouteServers(context).values()];
  const onPort = configurations.filter((servers) => servers.some(({ server }) => server.port.number === port));
  if (onPort.length === 0) return noPort(port, context);
  const plans = onPort
    .flatMap((servers) => planGatewayHosts(servers, context))
    .filter((plan) => gateway === undefined || plan.governing.some(({ site }) => site.gateway === gateway));
  const domain = matchDomain(
    authority,
    plans.map((plan) => plan.domain),
  );
  const plan = plans.find((candidate) => candidate.domain === domain);
  if (!plan)
    return {
      error: `no VirtualService bound to a gateway on port ${port} has the host ${authority}: the gateway answers 404`,
    };
  return { domain: plan.domain, governing: plan.governing };
}

function noPort(port: number, context: Context): { readonly error: string } {
  const ports = requestPorts(context);
  const there = ports.length > 0 ? `it takes HTTP on ${ports.join(", ")}` : "it takes HTTP on no port";
  return { error: `the proxy does not take HTTP on port ${port}: ${there}` };
}

/** As Envoy: the exact name, else the longest wildcard. Ports and a trailing dot are no part of the name. */
function matchDomain(authority: string, domains: readonly string[]): string | undefined {
  const host = authority.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
  if (domains.includes(host)) return host;
  const covering = domains.filter((domain) => isWildcard(domain) && hostCovers(domain, host));
  return covering.sort((a, b) => b.length - a.length)[0];
}
