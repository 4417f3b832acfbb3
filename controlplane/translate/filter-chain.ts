// Filter chains and the listeners that hold them.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { TransportSocket } from "../gen/envoy/config/core/v3/base_pb.js";
import {
  type Filter,
  type FilterChain,
  FilterChainMatchSchema,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterSchema,
} from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import { OriginalDstSchema } from "../gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { pack } from "./resource.js";
import { duration, socketAddress } from "./values.js";

export interface ChainMatch {
  /** SNI host names; wildcards as in *.example.com. Given, only TLS connections match. */
  readonly serverNames?: readonly string[];
  /** Addresses or CIDR blocks of the connection's destination. */
  readonly destinations?: readonly string[];
  readonly destinationPort?: number;
}

export function filterChain(
  name: string,
  match: ChainMatch | undefined,
  filters: readonly Filter[],
  transportSocket?: TransportSocket,
): FilterChain {
  return create(FilterChainSchema, {
    name,
    filters: [...filters],
    ...(match ? { filterChainMatch: chainMatch(match) } : {}),
    ...(transportSocket ? { transportSocket } : {}),
  });
}

/** The chain, for connections to these destinations alone where it takes any. */
export function towards(destinations: readonly string[], chain: FilterChain): FilterChain {
  const filterChainMatch = chain.filterChainMatch ?? create(FilterChainMatchSchema, chainMatch({ destinations }));
  return { ...chain, filterChainMatch };
}

function chainMatch(match: ChainMatch): MessageInitShape<typeof FilterChainMatchSchema> {
  // "*" means any server name; Envoy says that by naming none.
  const serverNames = (match.serverNames ?? []).filter((name) => name !== "*");
  return {
    serverNames,
    ...(match.serverNames ? { transportProtocol: "tls" } : {}),
    ...(match.destinationPort === undefined ? {} : { destinationPort: match.destinationPort }),
    prefixRanges: (match.destinations ?? []).map(cidr),
  };
}

/**
 * Envoy refuses a listener in which two chains match alike; the earlier one has what both ask for. A chain keeps the
 * server names that are still free, and goes where none is. Chains with destinations must have one each.
 */
export function distinctChains(chains: readonly FilterChain[]): FilterChain[] {
  const seen = new Set<string>();
  return chains.filter((chain) => {
    const match = chain.filterChainMatch;
    const [destination] = match?.prefixRanges ?? [];
    const place = `${match?.transportProtocol} ${destination?.addressPrefix}/${destination?.prefixLen}`;
    const isFree = (name: string) => !seen.has(`${place} ${name}`) && seen.add(`${place} ${name}`);
    if (!match || match.serverNames.length === 0) return isFree("*");
    match.serverNames = match.serverNames.filter(isFree);
    return match.serverNames.length > 0;
  });
}

/** An address alone is its own block. */
function cidr(block: string): { addressPrefix: string; prefixLen: number } {
  const [addressPrefix = "", length] = block.split("/");
  const full = addressPrefix.includes(":") ? 128 : 32;
  return { addressPrefix, prefixLen: length === undefined ? full : Number(length) };
}

export interface ListenerOptions {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** False where the connections come from a capturing listener. */
  readonly bind: boolean;
  readonly direction: Listener["trafficDirection"];
  readonly chains: readonly FilterChain[];
  /** Takes what no chain's match takes. */
  readonly defaultChain?: FilterChain;
  readonly originalDestination?: "use" | "read";
  /** Takes connections to every IPv6 address, too. */
  readonly alsoIpv6?: boolean;
}

/** TLS is looked for where a chain's match asks for it. */
export function listener(options: ListenerOptions): Listener {
  const inspectsTls = options.chains.some((chain) => chain.filterChainMatch?.transportProtocol === "tls");
  const filters: ListenerFilter[] = [];
  if (options.originalDestination) filters.push(originalDestination());
  if (inspectsTls) filters.push(tlsInspector());
  return create(ListenerSchema, {
    name: options.name,
    address: socketAddress(options.address, options.port),
    ...(options.alsoIpv6 ? { additionalAddresses: [{ address: socketAddress("::", options.port) }] } : {}),
    trafficDirection: options.direction,
    filterChains: [...options.chains],
    listenerFilters: filters,
    ...(inspectsTls ? { listenerFiltersTimeout: duration(5_000), continueOnListenerFiltersTimeout: true } : {}),
    ...(options.defaultChain ? { defaultFilterChain: options.defaultChain } : {}),
    ...(options.bind ? {} : { bindToPort: false }),
    ...(options.originalDestination === "use" ? { useOriginalDst: true } : {}),
  });
}

function originalDestination(): ListenerFilter {
  return create(ListenerFilterSchema, {
    name: "envoy.filters.listener.original_dst",
    configType: { case: "typedConfig", value: pack(OriginalDstSchema, create(OriginalDstSchema)) },
  });
}

function tlsInspector(): ListenerFilter {
  return create(ListenerFilterSchema, {
    name: "envoy.filters.listener.tls_inspector",
    configType: { case: "typedConfig", value: pack(TlsInspectorSchema, create(TlsInspectorSchema)) },
  });
}
