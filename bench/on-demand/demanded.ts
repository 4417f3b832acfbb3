// The configuration of a proxy that asks for what it uses -> the changes that this takes: filters that ask, and no virtual
// host that takes every request, because only a request without a route makes Envoy ask for one.
import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ListenerSchema } from "../../controlplane/gen/envoy/config/listener/v3/listener_pb.js";
import { VirtualHostSchema } from "../../controlplane/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../controlplane/gen/envoy/config/route/v3/route_pb.js";
import { OnDemandSchema } from "../../controlplane/gen/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
  HttpConnectionManagerSchema as ManagerSchema,
} from "../../controlplane/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { type EnvoyResource, encodeResource, pack } from "../../controlplane/translate/resource.js";
import { adsSource, duration } from "../../controlplane/translate/values.js";

const CLUSTER_TIMEOUT_MILLIS = 5_000;
const ALL_DOMAINS = "*";
/** Envoy takes no listener in whose route configuration VHDS has brought nothing yet. */
const PLACEHOLDER = "placeholder.invalid";

/** The listener with a filter that asks for virtual hosts before any other, and one that asks for clusters as the last. */
export function askingListener({ name, any }: EnvoyResource): EnvoyResource {
  const listener = anyUnpack(fromBinary(AnySchema, any), ListenerSchema);
  if (!listener) throw new Error(`${name} is no listener`);
  const { filterChains, defaultFilterChain } = listener;
  const chains = defaultFilterChain ? [...filterChains, defaultFilterChain] : filterChains;
  for (const filter of chains.flatMap(({ filters }) => filters)) {
    if (filter.configType.case !== "typedConfig") continue;
    const manager = anyUnpack(filter.configType.value, ManagerSchema);
    if (manager?.routeSpecifier.case !== "rds") continue;
    manager.httpFilters = [asking("virtual-hosts", false), ...manager.httpFilters];
    manager.httpFilters.splice(-1, 0, asking("clusters", true));
    filter.configType.value = pack(ManagerSchema, manager);
  }
  return encodeResource(ListenerSchema, name, listener);
}

function asking(what: string, clusters: boolean): HttpFilter {
  const config = create(
    OnDemandSchema,
    clusters ? { odcds: { source: adsSource(), timeout: duration(CLUSTER_TIMEOUT_MILLIS) } } : {},
  );
  const typedConfig = pack(OnDemandSchema, config);
  return create(HttpFilterSchema, {
    name: `on-demand-${what}`,
    configType: { case: "typedConfig", value: typedConfig },
  });
}

export function withoutCatchAll({ name, any }: EnvoyResource): EnvoyResource {
  const routes = anyUnpack(fromBinary(AnySchema, any), RouteConfigurationSchema);
  if (!routes) throw new Error(`${name} is no route configuration`);
  routes.virtualHosts = routes.virtualHosts.filter(({ domains }) => !domains.includes(ALL_DOMAINS));
  return encodeResource(RouteConfigurationSchema, name, routes);
}

/** A virtual host that no request is for. */
export function placeholderHost(routeName: string): EnvoyResource {
  const name = `${routeName}/${PLACEHOLDER}`;
  return encodeResource(VirtualHostSchema, name, create(VirtualHostSchema, { name, domains: [PLACEHOLDER] }));
}

/** The domains of an encoded virtual host. */
export function domainsOf({ any }: EnvoyResource): readonly string[] {
  return anyUnpack(fromBinary(AnySchema, any), VirtualHostSchema)?.domains ?? [];
}
