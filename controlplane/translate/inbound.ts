// What a sidecar listens on for traffic to its workload: a listener, or a chain of the capturing one, for each port.
import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "../gen/envoy/config/core/v3/base_pb.js";
import type { FilterChain } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import { RouteSchema } from "../gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/config/route/v3/route_pb.js";
import { instancesOf } from "../mesh/instances.js";
import { isHttp, type Protocol, portProtocol } from "../mesh/service.js";
import type { ConnectionPoolSettings } from "../resources/destination-rule.js";
import type { ServerTlsSettings } from "../resources/gateway.js";
import type { IngressListener } from "../resources/sidecar.js";
import { capturesIpv6 } from "./bind.js";
import { BLACK_HOLE_CLUSTER, clusterName, INBOUND_PASSTHROUGH_CLUSTER } from "./cluster-name.js";
import { inboundCluster } from "./clusters.js";
import type { Context } from "./context.js";
import { downstreamTls } from "./downstream-tls.js";
import { fileSecrets, serverFiles } from "./file-secrets.js";
import { filterChain, listener } from "./filter-chain.js";
import { httpConnection } from "./http-connection.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { anyPath } from "./route.js";
import { tcpProxy } from "./tcp-route.js";
import { nativeVirtualHost } from "./virtual-host.js";

/** Where the capture rules send what others send to the workload. */
export const VIRTUAL_INBOUND_PORT = 15006;

/** One port that the workload accepts traffic on. */
interface InboundPort {
  readonly port: number;
  readonly protocol: Protocol;
  readonly bind: string;
  /** Where the workload itself listens. */
  readonly target: { readonly address: string; readonly port: number };
  readonly connectionPool?: ConnectionPoolSettings;
  readonly tls?: ServerTlsSettings;
  /** It binds its port even where traffic is captured. */
  readonly binds?: boolean;
}

/** The listeners and clusters of a sidecar's ingress. */
export function inboundListeners(context: Context): EnvoyResource[] {
  const ports = inboundPorts(context);
  const clusters = ports.map(({ port, protocol, target, connectionPool }) =>
    inboundCluster(port, protocol, target, connectionPool),
  );
  const captures = context.proxy.interceptionMode === "REDIRECT";
  const captured = captures ? [virtualInbound(ports, context)] : [];
  const bound = ports.filter((port) => !captures || port.binds);
  const listeners = bound.map((port) => {
    const built = listener({
      name: `${port.bind}_${port.port}`,
      address: port.bind,
      port: port.port,
      bind: true,
      direction: TrafficDirection.INBOUND,
      chains: [inboundChain(port, undefined, context)],
    });
    return encodeResource(ListenerSchema, built.name, built);
  });
  const secrets = fileSecrets(
    ports.flatMap(({ tls }) => (tls ? serverFiles(tls, context.proxy.serverCertificate) : [])),
  );
  return [...clusters, ...captured, ...listeners, ...secrets];
}

/** A Sidecar's ingress says it all where there is one; otherwise the services that the workload stands behind. */
function inboundPorts(context: Context): InboundPort[] {
  const { proxy, scope } = context;
  const [own = "127.0.0.1"] = proxy.addresses;
  const { ingress = [], inboundConnectionPool } = scope.sidecar?.spec ?? {};
  if (ingress.length > 0) return ingress.map((entry) => ingressPort(entry, own, inboundConnectionPool));
  const pool = inboundConnectionPool ? { connectionPool: inboundConnectionPool } : {};
  const ports = new Map<number, InboundPort>();
  for (const { port, targetPort } of instancesOf(context.mesh, proxy)) {
    if (port.protocol === "udp" || ports.has(targetPort)) continue;
    const target = { address: "127.0.0.1", port: targetPort };
    // A workload that stands on the proxy's own address is reached there: nothing is left to listen on.
    if (proxy.interceptionMode === "NONE" && own === target.address) continue;
    ports.set(targetPort, { port: targetPort, protocol: port.protocol, bind: own, target, ...pool });
  }
  return [...ports.values()].sort((a, b) => a.port - b.port);
}

function ingressPort(entry: IngressListener, own: string, general: ConnectionPoolSettings | undefined): InboundPort {
  const connectionPool = entry.connectionPool ?? general;
  return {
    port: entry.port.number,
    protocol: portProtocol(entry.port.protocol ?? "TCP"),
    bind: entry.bind ?? own,
    target: defaultEndpoint(entry, own),
    binds: entry.captureMode === "NONE",
    ...(connectionPool ? { connectionPool } : {}),
    ...(entry.tls ? { tls: entry.tls } : {}),
  };
}

/** 0.0.0.0 and [::] mean the workload's own address, as in Istio. */
function defaultEndpoint(entry: IngressListener, own: string): InboundPort["target"] {
  const endpoint = entry.defaultEndpoint ?? `127.0.0.1:${entry.port.number}`;
  if (endpoint.startsWith("unix://")) return { address: endpoint, port: 0 };
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  const address = host === "0.0.0.0" || host === "::" ? own : host;
  return { address, port: Number(endpoint.slice(colon + 1)) };
}

function inboundChain(port: InboundPort, destinationPort: number | undefined, context: Context): FilterChain {
  const cluster = clusterName("inbound", port.port, "", "");
  const filter = isHttp(port.protocol)
    ? inboundHttp(cluster, port, context)
    : tcpProxy(cluster, context.options, port.connectionPool?.tcp);
  const match = destinationPort === undefined ? undefined : { destinationPort };
  const alpn = isHttp(port.protocol) ? ["h2", "http/1.1"] : [];
  return filterChain(
    cluster,
    match,
    [filter],
    port.tls ? downstreamTls(port.tls, alpn, context.proxy.serverCertificate) : undefined,
  );
}

function inboundHttp(cluster: string, port: InboundPort, context: Context) {
  const route = create(RouteSchema, {
    name: "default",
    match: anyPath(),
    action: {
      case: "route",
      value: { clusterSpecifier: { case: "cluster", value: cluster }, timeout: { seconds: 0n } },
    },
  });
  const routes = create(RouteConfigurationSchema, {
    name: cluster,
    virtualHosts: [nativeVirtualHost(cluster, ["*"], [route])],
    validateClusters: false,
  });
  const traffic = { mode: "SERVER" as const, port: port.port };
  return httpConnection(
    { statPrefix: cluster, routes: { inline: routes }, decides: false, edge: false, traffic },
    context,
  );
}

function virtualInbound(ports: readonly InboundPort[], context: Context): EnvoyResource {
  const built = listener({
    name: "virtualInbound",
    address: "0.0.0.0",
    port: VIRTUAL_INBOUND_PORT,
    bind: true,
    direction: TrafficDirection.INBOUND,
    chains: [
      // Nothing may come back to where it was captured, again and again.
      filterChain("blackhole", { destinationPort: VIRTUAL_INBOUND_PORT }, [
        tcpProxy(BLACK_HOLE_CLUSTER, context.options),
      ]),
      ...ports.map((port) => inboundChain(port, port.port, context)),
    ],
    defaultChain: filterChain("passthrough", undefined, [tcpProxy(INBOUND_PASSTHROUGH_CLUSTER, context.options)]),
    originalDestination: "read",
    alsoIpv6: capturesIpv6(context.proxy),
  });
  return encodeResource(ListenerSchema, built.name, built);
}
