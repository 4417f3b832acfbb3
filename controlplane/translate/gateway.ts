// What a gateway proxy listens on: the servers of the Gateways that select it, one listener for each port.
import { TrafficDirection } from "../gen/envoy/config/core/v3/base_pb.js";
import type { FilterChain } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import { nameOfGateway } from "../mesh/gateway-name.js";
import { instancesOf } from "../mesh/instances.js";
import { anyPatternCovers, parseHostPattern } from "../mesh/visibility.js";
import { push, selects } from "../mesh/workloads.js";
import type { Server } from "../resources/gateway.js";
import { bindPort } from "./bind.js";
import { clusterName } from "./cluster-name.js";
import { type Context, destinationPolicy } from "./context.js";
import { downstreamTls } from "./downstream-tls.js";
import { serverFiles, type TlsFiles } from "./file-secrets.js";
import { distinctChains, filterChain, listener } from "./filter-chain.js";
import { boundVirtualServices, type GatewayServer } from "./gateway-routes.js";
import { httpConnection } from "./http-connection.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { credentialIsComplete } from "./secrets.js";
import { tcpProxy, tcpRuleChains, tlsRuleChains } from "./tcp-route.js";

/** The listeners of a gateway. */
export function gatewayListeners(context: Context): EnvoyResource[] {
  const byAddress = new Map<string, GatewayServer[]>();
  for (const entry of selectedServers(context)) {
    const address = entry.server.bind ?? gatewayBindAddress(context);
    push(byAddress, `${address}_${boundPort(entry.server.port.number, context)}`, entry);
  }
  return [...byAddress]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, servers]) => portListener(name, servers, context));
}

/** The route configurations that a gateway's listeners ask for: by name, the servers that share it. */
export function gatewayRouteServers(context: Context): ReadonlyMap<string, readonly GatewayServer[]> {
  const byName = new Map<string, GatewayServer[]>();
  const all = selectedServers(context);
  const terminated = all.filter((entry) => isTerminatedHttp(entry, context));
  for (const entry of all) {
    const name = routeNameOf(entry, context);
    if (isClearHttp(entry.server)) push(byName, name, entry);
    else if (terminated.includes(entry)) {
      byName.set(name, [entry, ...terminated.filter((other) => other !== entry && sharesCertificate(entry, other))]);
    }
  }
  return byName;
}

/**
 * A client keeps one HTTP/2 connection for all hosts that its certificate names, so a connection to one server brings
 * requests for the hosts of others with the same certificate, and has to serve them.
 */
function sharesCertificate({ server: a }: GatewayServer, { server: b }: GatewayServer): boolean {
  return a.port.number === b.port.number && a.bind === b.bind && JSON.stringify(a.tls) === JSON.stringify(b.tls);
}

/** As Istio: servers in the clear share one by port and address, an HTTPS server has its own. */
function routeNameOf({ gateway, server }: GatewayServer, context: Context): string {
  const { number, name } = server.port;
  if (!isClearHttp(server)) return `https.${number}.${name}.${gateway.meta.name}.${gateway.meta.namespace}`;
  const elsewhere = server.bind !== undefined && server.bind !== gatewayBindAddress(context);
  return elsewhere ? `http.${number}.${server.bind}` : `http.${number}`;
}

function selectedServers(context: Context): GatewayServer[] {
  return [...context.mesh.gateways.values()]
    .filter((gateway) => selects(gateway.spec.selector, context.proxy.labels))
    .flatMap((gateway) => gateway.spec.servers.map((server) => ({ gateway, server })));
}

/** A proxy whose own address is a loopback one listens on that alone, so that many can share a machine. */
function gatewayBindAddress(context: Context): string {
  const [own = ""] = context.proxy.addresses;
  return own.startsWith("127.") ? own : "0.0.0.0";
}

/** Where a Service stands before the gateway, its target port is what the gateway listens on, as in Istio. */
function boundPort(port: number, context: Context): number {
  const behind = instancesOf(context.mesh, context.proxy).find((instance) => instance.port.number === port);
  return behind?.targetPort ?? bindPort(port, context.proxy);
}

/** The servers of one port: all in the clear as HTTP, or told apart by the server name in TLS, or plain TCP. */
function portListener(name: string, servers: readonly GatewayServer[], context: Context): EnvoyResource[] {
  const [clear] = servers.filter(({ server }) => isClearHttp(server));
  const raw = servers.filter(({ server }) => server.port.protocol === "TCP" || server.port.protocol === "MONGO");
  const tls = servers.flatMap((entry) => {
    if (terminatesTls(entry.server)) return terminatingChain(entry, context) ?? [];
    return passesTls(entry.server) ? passthroughChains(entry, context) : [];
  });
  const tcp = raw.flatMap((entry) => l4Chains(entry, context));
  const chains = [...tls, ...tcp.filter((chain) => chain.filterChainMatch)];
  const defaultChain = clear
    ? filterChain(routeNameOf(clear, context), undefined, [edgeConnection(clear, context)])
    : tcp.find((chain) => !chain.filterChainMatch);
  if (chains.length === 0 && !defaultChain) return [];
  const separator = name.lastIndexOf("_");
  const built = listener({
    name,
    address: name.slice(0, separator),
    port: Number(name.slice(separator + 1)),
    bind: true,
    direction: TrafficDirection.OUTBOUND,
    chains: distinctChains(chains),
    ...(defaultChain ? { defaultChain } : {}),
  });
  return [encodeResource(ListenerSchema, name, built)];
}

/** Statistics are kept under the server's name, where it has one. */
function edgeConnection(entry: GatewayServer, context: Context) {
  const rds = routeNameOf(entry, context);
  const statPrefix = entry.server.name ?? rds;
  const traffic = { mode: "CLIENT" as const, port: entry.server.port.number };
  return httpConnection({ statPrefix, routes: { rds }, decides: true, edge: true, traffic }, context);
}

function isHttpServer(server: Server): boolean {
  return ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB"].includes(server.port.protocol);
}

function isClearHttp(server: Server): boolean {
  return isHttpServer(server) && !terminatesTls(server) && !passesTls(server);
}

function isTerminatedHttp({ server }: GatewayServer, context: Context): boolean {
  return (
    server.port.protocol === "HTTPS" && terminatesTls(server) && credentialIsComplete(server.tls, "server", context)
  );
}

function passesTls(server: Server): boolean {
  return server.tls?.mode === "PASSTHROUGH" || server.tls?.mode === "AUTO_PASSTHROUGH";
}

function terminatesTls(server: Server): boolean {
  const mode = server.tls?.mode;
  return (
    (mode === "SIMPLE" || mode === "MUTUAL" || mode === "OPTIONAL_MUTUAL" || mode === "ISTIO_MUTUAL") &&
    (server.port.protocol === "HTTPS" || server.port.protocol === "TLS")
  );
}

/** Undefined while the server's credential is missing: the port's other servers must not wait for it. */
function terminatingChain(entry: GatewayServer, context: Context): FilterChain | undefined {
  const { gateway, server } = entry;
  if (!server.tls || !credentialIsComplete(server.tls, "server", context)) return undefined;
  const { number, name, protocol } = server.port;
  const match = { serverNames: serverNames(entry) };
  const own = context.proxy.serverCertificate;
  if (protocol === "TLS") {
    const [first] = l4Chains(entry, context);
    if (!first) return undefined;
    const chainName = `tls.${number}.${name}.${nameOfGateway(gateway)}`;
    return filterChain(chainName, match, first.filters, downstreamTls(server.tls, [], own));
  }
  const socket = downstreamTls(server.tls, ["h2", "http/1.1"], own);
  return filterChain(routeNameOf(entry, context), match, [edgeConnection(entry, context)], socket);
}

function serverNames({ gateway, server }: GatewayServer): string[] {
  return [...new Set(server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace).host))];
}

/** TLS that goes through unopened: by server name, as the bound VirtualServices' tls rules say, or by its form alone. */
function passthroughChains(entry: GatewayServer, context: Context): FilterChain[] {
  if (entry.server.tls?.mode === "AUTO_PASSTHROUGH") return autoPassthroughChains(entry, context);
  const site = { gateway: nameOfGateway(entry.gateway), port: entry.server.port.number };
  return boundVirtualServices(entry, context).flatMap(({ virtualService }) =>
    tlsRuleChains(virtualService, site, context),
  );
}

/** Server names as other meshes' gateways and sidecars give them: outbound_.80_.v1_.reviews.default.svc.cluster.local. */
function autoPassthroughChains({ gateway, server }: GatewayServer, context: Context): FilterChain[] {
  const patterns = server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace));
  const services = context.scope.egress.flatMap((egress) => egress.services);
  return services
    .filter((service) => anyPatternCovers(patterns, service.namespace, service.hostname))
    .flatMap((service) => {
      const subsets = ["", ...(destinationPolicy(context, service)?.subsets.keys() ?? [])];
      return service.ports.flatMap(({ number }) =>
        subsets.map((subset) => {
          const cluster = clusterName("outbound", number, subset, service.hostname);
          const serverName = `outbound_.${number}_.${subset}_.${service.hostname}`;
          return filterChain(cluster, { serverNames: [serverName] }, [tcpProxy(cluster, context.options)]);
        }),
      );
    });
}

function l4Chains(entry: GatewayServer, context: Context): FilterChain[] {
  const site = { gateway: nameOfGateway(entry.gateway), port: entry.server.port.number };
  return boundVirtualServices(entry, context).flatMap(({ virtualService }) =>
    tcpRuleChains(virtualService, site, context),
  );
}

/** The credentials that the gateway's servers name. */
export function gatewayCredentials(context: Context): string[] {
  return selectedServers(context).flatMap(({ server }) => server.tls?.credentialName ?? []);
}

/** The files that the gateway's servers read certificates from. */
export function gatewayFiles(context: Context): TlsFiles[] {
  const own = context.proxy.serverCertificate;
  return selectedServers(context).flatMap(({ server }) =>
    server.tls && terminatesTls(server) ? serverFiles(server.tls, own) : [],
  );
}
