// Connections that are not read as HTTP: by server name or address, and VirtualService tls and tcp rules, to clusters.
import { create } from "@bufbuild/protobuf";
import { type Filter, type FilterChain, FilterSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  TcpProxy_WeightedClusterSchema,
  TcpProxySchema,
} from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { L4Destination, TlsMatch, VirtualService } from "../resources/virtual-service.js";
import { BLACK_HOLE_CLUSTER } from "./cluster-name.js";
import { type Context, resolveDestination } from "./context.js";
import { type ChainMatch, filterChain } from "./filter-chain.js";
import { pack } from "./resource.js";
import { canHold, type Site } from "./site.js";
import { duration } from "./values.js";

/** Sends every connection to one cluster. */
export function tcpProxy(cluster: string): Filter {
  return tcpProxyFilter([{ cluster, weight: 1 }]);
}

/** Connections idle for an hour are closed; Envoy's own default, said here because a policy can change it. */
const IDLE_TIMEOUT_MS = 3_600_000;

interface WeightedCluster {
  readonly cluster: string;
  readonly weight: number;
}

function tcpProxyFilter(clusters: readonly WeightedCluster[]): Filter {
  const [first] = clusters;
  const statPrefix = first?.cluster ?? BLACK_HOLE_CLUSTER;
  const proxy = create(TcpProxySchema, { statPrefix, idleTimeout: duration(IDLE_TIMEOUT_MS) });
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

/** The weighted clusters of a route; a destination that does not exist closes its share of the connections. */
export function routeFilter(
  route: readonly L4Destination[],
  ruleNamespace: string,
  port: number,
  context: Context,
): Filter {
  const only = route.length === 1;
  const clusters = route
    .filter((entry) => only || entry.weight > 0)
    .map((entry) => {
      const target = resolveDestination(context, entry.destination, ruleNamespace, port);
      return { cluster: "missing" in target ? BLACK_HOLE_CLUSTER : target.cluster, weight: only ? 1 : entry.weight };
    });
  return tcpProxyFilter(clusters);
}

/** A chain for each alternative of the tls rules that can hold at the site, in order; earlier ones win. */
export function tlsRuleChains(owner: VirtualService, site: Site, context: Context): FilterChain[] {
  return owner.spec.tls.flatMap((rule, ruleIndex) =>
    rule.match
      .filter((match) => canHold(match, owner, site, context.proxy))
      .map((match, index) => {
        const name = `${owner.meta.namespace}/${owner.meta.name}/tls/${ruleIndex}/${index}`;
        const filter = routeFilter(rule.route, owner.meta.namespace, site.port, context);
        return filterChain(name, tlsChainMatch(match), [filter]);
      }),
  );
}

function tlsChainMatch(match: TlsMatch): ChainMatch {
  return { serverNames: match.sniHosts, destinations: match.destinationSubnets };
}

/** The first tcp rule that can hold at the site; its subnets narrow it to some destinations. */
export function tcpRuleChains(owner: VirtualService, site: Site, context: Context): FilterChain[] {
  return owner.spec.tcp.flatMap((rule, ruleIndex) => {
    const name = `${owner.meta.namespace}/${owner.meta.name}/tcp/${ruleIndex}`;
    const filter = routeFilter(rule.route, owner.meta.namespace, site.port, context);
    if (rule.match.length === 0) return [filterChain(name, undefined, [filter])];
    return rule.match
      .filter((match) => canHold(match, owner, site, context.proxy))
      .map((match, index) =>
        filterChain(
          `${name}/${index}`,
          match.destinationSubnets.length > 0 ? { destinations: match.destinationSubnets } : undefined,
          [filter],
        ),
      );
  });
}
