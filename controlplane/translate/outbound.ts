// What a sidecar listens on for its workload's outgoing traffic: a listener for each port of the services in scope.
import { isIP } from "node:net";
import { TrafficDirection } from "../gen/envoy/config/core/v3/base_pb.js";
import type { FilterChain } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import { isHttp, isTls, type MeshService, type Protocol } from "../mesh/service.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { bindPort, capturesIpv6, outboundBindAddress } from "./bind.js";
import { BLACK_HOLE_CLUSTER, clusterName, PASSTHROUGH_CLUSTER } from "./cluster-name.js";
import type { Context } from "./context.js";
import { distinctChains, filterChain, type ListenerOptions, listener, towards } from "./filter-chain.js";
import { indexMeshRules } from "./host-plan.js";
import { httpConnection } from "./http-connection.js";
import { type OutboundPort, outboundPorts, passesThrough, portOf, readAs, routeNameOf } from "./outbound-routes.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { serviceTcpProxy, tcpProxy, tcpRuleChains, tlsRuleChains } from "./tcp-route.js";

/** Where the capture rules send what the workload sends. */
export const VIRTUAL_OUTBOUND_PORT = 15001;

/**
 * The listeners of a sidecar's egress. `inbound` holds the names of the inbound listeners: where both would bind one
 * address and port, which needs a proxy with one address for both, the inbound one has it.
 */
export function outboundListeners(context: Context, inbound: ReadonlySet<string>): EnvoyResource[] {
  const taken = new Set(inbound);
  const resources = outboundPorts(context).flatMap((entry) => portListeners(entry, context, taken));
  return context.proxy.interceptionMode === "REDIRECT" ? [...resources, virtualOutbound(context)] : resources;
}

/** The listeners of one port; `taken` holds the names that earlier listeners already have. */
function portListeners(entry: OutboundPort, context: Context, taken: Set<string>): EnvoyResource[] {
  const { egress, port } = entry;
  const bind = egress.binds || context.proxy.interceptionMode === "NONE";
  const address = egress.bind ?? outboundBindAddress(context.proxy, bind);
  const name = address.startsWith("unix://") ? address.slice("unix://".length) : `${address}_${port}`;
  if (taken.has(name)) return [];
  taken.add(name);
  const { http, tls, tcp } = context.memo.of(
    `protocols of ${routeNameOf(entry)}`,
    { cheap: [entry.services, egress.port?.protocol] },
    () => byProtocol(entry),
  );
  // Captured connections keep their destination, so services that have addresses are told apart by them.
  const addressed = bind ? [] : tcp.filter((service) => destinationsOf(service, port).length > 0);
  const [unaddressed] = tcp.filter((service) => !addressed.includes(service));
  const fallback = http ? [httpChain(entry, context)] : unaddressed ? tcpChains(entry, unaddressed, context) : [];
  const [last] = fallback.filter((chain) => !chain.filterChainMatch);
  const matching = fallback.filter((chain) => chain.filterChainMatch);
  const chains = distinctChains([
    ...tls.flatMap((service) => tlsChains(entry, service, context)),
    ...addressed.flatMap((service) => destinationChains(entry, service, context)),
    ...matching,
  ]);
  const defaultChain = last ?? (!bind && chains.length > 0 ? unknownTraffic(context) : undefined);
  return [
    ...addressed.flatMap((service) => addressListeners(entry, service, context, taken)),
    ...(chains.length > 0 || defaultChain
      ? [encodeListener({ name, address, port, bind, chains, ...(defaultChain ? { defaultChain } : {}) }, context)]
      : []),
  ];
}

/** How a port's services are told apart; HTTP ones are told apart by their routes. */
function byProtocol(entry: OutboundPort) {
  const of = (test: (protocol: Protocol) => boolean) =>
    entry.services.filter((service) => portOf(entry, service, (own) => test(readAs(entry, own))) !== undefined);
  return { http: of(isHttp).length > 0, tls: of(isTls), tcp: of((protocol) => protocol === "tcp") };
}

function httpChain(entry: OutboundPort, context: Context): FilterChain {
  const routeName = routeNameOf(entry);
  const statPrefix = `outbound_${routeName}`;
  const traffic = { mode: "CLIENT" as const, port: entry.port };
  return filterChain("http", undefined, [
    httpConnection({ statPrefix, routes: { rds: routeName }, decides: true, edge: false, traffic }, context),
  ]);
}

/** The addresses and blocks that clients of a service call; a headless service's are its endpoints'. */
function destinationsOf(service: MeshService, port: number): readonly string[] {
  if (!service.headless) return service.addresses;
  return (service.endpoints.get(port) ?? []).map(({ address }) => address).filter((address) => isIP(address) !== 0);
}

function hasListenerFor(service: MeshService, destination: string): boolean {
  return !service.headless && !destination.includes("/");
}

/** Blocks of addresses, and a headless service's many, are told apart within the port's listener. */
function destinationChains(entry: OutboundPort, service: MeshService, context: Context): FilterChain[] {
  const destinations = destinationsOf(service, entry.port).filter(
    (destination) => !hasListenerFor(service, destination),
  );
  if (destinations.length === 0) return [];
  return tcpChains(entry, service, context).map((chain) => towards(destinations, chain));
}

/** A listener for each single address; of two services with one address, the first has it. */
function addressListeners(
  entry: OutboundPort,
  service: MeshService,
  context: Context,
  taken: Set<string>,
): EnvoyResource[] {
  const { port } = entry;
  const isFree = (name: string) => !taken.has(name) && taken.add(name);
  const free = service.addresses.filter((address) => hasListenerFor(service, address) && isFree(`${address}_${port}`));
  const chains = tcpChains(entry, service, context);
  return free.map((address) =>
    encodeListener({ name: `${address}_${port}`, address, port, bind: false, chains: distinctChains(chains) }, context),
  );
}

function encodeListener(options: Omit<ListenerOptions, "direction">, context: Context): EnvoyResource {
  const built = listener({
    ...options,
    alsoIpv6: options.address === "0.0.0.0" && capturesIpv6(context.proxy),
    port: options.bind ? bindPort(options.port, context.proxy) : options.port,
    direction: TrafficDirection.OUTBOUND,
  });
  return encodeResource(ListenerSchema, options.name, built);
}

/** The VirtualService whose rules of a section hold for a service's connections: see MeshRules. */
function governing(
  { egress }: OutboundPort,
  service: MeshService,
  section: "tls" | "tcp",
  { memo }: Context,
): VirtualService | undefined {
  const { virtualServices } = egress;
  const rules = memo.of(
    `${section} rules of egress ${egress.bind ?? ""}_${egress.port?.number ?? ""}`,
    { cheap: [virtualServices] },
    () => indexMeshRules(virtualServices, section),
  );
  return rules.find(service.hostname);
}

function tlsChains(entry: OutboundPort, service: MeshService, context: Context): FilterChain[] {
  const port = portOf(entry, service, (own) => isTls(readAs(entry, own)))?.number ?? entry.port;
  const owner = governing(entry, service, "tls", context);
  const ruled = owner ? tlsRuleChains(owner, { gateway: "mesh", port }, context) : [];
  if (ruled.length > 0) return ruled;
  const cluster = clusterName("outbound", port, "", service.hostname);
  return [filterChain(cluster, { serverNames: [service.hostname] }, [serviceTcpProxy(service, port, context)])];
}

function tcpChains(entry: OutboundPort, service: MeshService, context: Context): FilterChain[] {
  const port = portOf(entry, service, (own) => readAs(entry, own) === "tcp")?.number ?? entry.port;
  const owner = governing(entry, service, "tcp", context);
  const ruled = owner ? tcpRuleChains(owner, { gateway: "mesh", port }, context) : [];
  if (ruled.length > 0) return ruled;
  const cluster = clusterName("outbound", port, "", service.hostname);
  return [filterChain(cluster, undefined, [serviceTcpProxy(service, port, context)])];
}

/** Connections to a known port of an unknown server. */
function unknownTraffic(context: Context): FilterChain {
  const cluster = passesThrough(context) ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER;
  return filterChain("unknown", undefined, [tcpProxy(cluster, context.options)]);
}

/** Takes every captured connection and hands it to the listener of its original destination, if there is one. */
function virtualOutbound(context: Context): EnvoyResource {
  const built = listener({
    name: "virtualOutbound",
    address: "0.0.0.0",
    port: VIRTUAL_OUTBOUND_PORT,
    bind: true,
    direction: TrafficDirection.OUTBOUND,
    chains: [
      // Nothing may come back to where it was captured, again and again.
      filterChain("blackhole", { destinationPort: VIRTUAL_OUTBOUND_PORT }, [
        tcpProxy(BLACK_HOLE_CLUSTER, context.options),
      ]),
    ],
    defaultChain: unknownTraffic(context),
    originalDestination: "use",
    alsoIpv6: capturesIpv6(context.proxy),
  });
  return encodeResource(ListenerSchema, built.name, built);
}
