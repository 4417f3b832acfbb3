// Connections that are not read as HTTP: by server name or address, and VirtualService tls and tcp rules, to clusters.
import { create } from "@bufbuild/protobuf";
import { type Filter, type FilterChain, FilterSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  TcpProxy_WeightedClusterSchema,
  TcpProxySchema,
} from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { MeshService } from "../mesh/service.js";
import type { ConnectionPoolSettings } from "../resources/destination-rule.js";
import type { L4Destination, VirtualService } from "../resources/virtual-service.js";
import { accessLogs } from "./access-log.js";
import { BLACK_HOLE_CLUSTER, clusterName } from "./cluster-name.js";
import { effectiveSettings } from "./cluster-policy.js";
import { type Context, destinationPolicy, resolveDestination, targetSettings } from "./context.js";
import { filterChain } from "./filter-chain.js";
import type { TranslateOptions } from "./options.js";
import { pack } from "./resource.js";
import { canHold, type Site } from "./site.js";
import { duration } from "./values.js";

/** Sends every connection to one cluster. */
export function tcpProxy(cluster: string, options: TranslateOptions, pool?: ConnectionPoolSettings["tcp"]): Filter {
  return tcpProxyFilter([{ cluster, weight: 1 }], options, pool);
}

/** Sends every connection to a service, under its DestinationRule. */
export function serviceTcpProxy(service: MeshService, port: number, context: Context): Filter {
  const settings = effectiveSettings(port, destinationPolicy(context, service)?.trafficPolicy, undefined);
  return tcpProxy(clusterName("outbound", port, "", service.hostname), context.options, settings.connectionPool?.tcp);
}

/** Connections idle for an hour are closed, unless a policy says otherwise; Envoy's own default. */
const IDLE_TIMEOUT_MS = 3_600_000;

interface WeightedCluster {
  readonly cluster: string;
  readonly weight: number;
}

function tcpProxyFilter(
  clusters: readonly WeightedCluster[],
  options: TranslateOptions,
  pool: ConnectionPoolSettings["tcp"],
): Filter {
  const [first] = clusters;
  const statPrefix = first?.cluster ?? BLACK_HOLE_CLUSTER;
  const proxy = create(TcpProxySchema, {
    statPrefix,
    accessLog: accessLogs(options.accessLog),
    idleTimeout: duration(pool?.idleTimeoutMs ?? IDLE_TIMEOUT_MS),
    ...(pool?.maxConnectionDurationMs === undefined
      ? {}
      : { maxDownstreamConnectionDuration: duration(pool.maxConnectionDurationMs) }),
  });
  proxy.clusterSpecifier =
    clusters.length <= 1
      ? { case: "cluster", value: statPrefix }
      : {
          case: "weightedClusters",
          value: create(TcpProxy_WeightedClusterSchema, {
            clusters: clusters.map(({ cluster, weight }) => ({ name: cluster, weight })),
          }),
        };
  return create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: pack(TcpProxySchema, proxy) },
  });
}

/**
 * The weighted clusters of a route, under the first destination's policy; a destination that does not exist closes its
 * share of the connections.
 */
function routeFilter(route: readonly L4Destination[], ruleNamespace: string, port: number, context: Context): Filter {
  const only = route.length === 1;
  const targets = route
    .filter((entry) => only || entry.weight > 0)
    .map((entry) => ({
      weight: only ? 1 : entry.weight,
      target: resolveDestination(context, entry.destination, ruleNamespace, port),
    }));
  const found = targets.flatMap(({ target }) => ("missing" in target ? [] : [target]));
  const clusters = targets.map(({ target, weight }) => ({
    cluster: "missing" in target ? BLACK_HOLE_CLUSTER : target.cluster,
    weight,
  }));
  return tcpProxyFilter(clusters, context.options, found[0] && targetSettings(found[0]).connectionPool?.tcp);
}

/** A chain for each alternative, and each of its subnets, of the tls rules that can hold at the site; earlier ones win. */
export function tlsRuleChains(owner: VirtualService, site: Site, context: Context): FilterChain[] {
  return owner.spec.tls.flatMap((rule, ruleIndex) => {
    const filter = routeFilter(rule.route, owner.meta.namespace, site.port, context);
    return rule.match
      .filter((match) => canHold(match, owner, site, context.proxy))
      .flatMap((match, index) => {
        const name = `${owner.meta.namespace}/${owner.meta.name}/tls/${ruleIndex}/${index}`;
        return bySubnet(match.destinationSubnets).map((destinations) =>
          filterChain(name, { serverNames: match.sniHosts, destinations }, [filter]),
        );
      });
  });
}

/** One chain can have one destination at most, see distinctChains; without subnets any destination will do. */
function bySubnet(subnets: readonly string[]): readonly (readonly string[])[] {
  return subnets.length === 0 ? [[]] : subnets.map((subnet) => [subnet]);
}

/**
 * The tcp rules that can hold at the site, in order; subnets narrow a chain to some destinations. What comes behind a
 * chain that takes everything is left out.
 */
export function tcpRuleChains(owner: VirtualService, site: Site, context: Context): FilterChain[] {
  const chains: FilterChain[] = [];
  for (const [ruleIndex, rule] of owner.spec.tcp.entries()) {
    const name = `${owner.meta.namespace}/${owner.meta.name}/tcp/${ruleIndex}`;
    const filter = routeFilter(rule.route, owner.meta.namespace, site.port, context);
    const holding = rule.match.filter((match) => canHold(match, owner, site, context.proxy));
    for (const [index, { destinationSubnets }] of holding.entries()) {
      if (destinationSubnets.length === 0) return [...chains, filterChain(`${name}/${index}`, undefined, [filter])];
      for (const subnet of destinationSubnets) {
        chains.push(filterChain(`${name}/${index}`, { destinations: [subnet] }, [filter]));
      }
    }
    if (rule.match.length === 0) return [...chains, filterChain(name, undefined, [filter])];
  }
  return chains;
}
