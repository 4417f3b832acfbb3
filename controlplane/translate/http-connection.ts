// The HTTP connection manager that sidecars and gateways share: how requests are normalised, and which filters see them.
import { create } from "@bufbuild/protobuf";
import { type Filter, FilterSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.js";
import type { RouteConfiguration } from "../gen/envoy/config/route/v3/route_pb.js";
import { CorsSchema } from "../gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HeaderMutationSchema } from "../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { RouterSchema } from "../gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { WasmSchema } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
  RdsSchema,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { FILTER_NAME } from "../policy/compile.js";
import { accessLogs } from "./access-log.js";
import { brokenRequestCounters } from "./broken-requests.js";
import type { Context } from "./context.js";
import { extensionFilters, type TrafficSite } from "./extensions.js";
import { pack, typeUrlOf } from "./resource.js";
import { adsSource, duration } from "./values.js";

export interface HttpConnectionOptions {
  readonly statPrefix: string;
  /** A name asked for by RDS, or the routes themselves. */
  readonly routes: { readonly rds: string } | { readonly inline: RouteConfiguration };
  /** Whether rules are decided here: the filter chain then has the traffic filter. */
  readonly decides: boolean;
  /** Which of the proxy's extensions stand in the chain. */
  readonly traffic: TrafficSite;
  /** The client is the far end itself, not a sidecar: its address counts, its claims about others do not. */
  readonly edge: boolean;
}

/** The network filter. */
export function httpConnection(options: HttpConnectionOptions, context: Context): Filter {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: options.statPrefix,
    codecType: HttpConnectionManager_CodecType.AUTO,
    httpFilters: httpFilters(options, context),
    accessLog: [...accessLogs(context.options.accessLog), ...brokenRequestCounters(context, options.traffic)],
    upgradeConfigs: [{ upgradeType: "websocket" }],
    useRemoteAddress: options.edge,
    streamIdleTimeout: duration(options.edge ? EDGE_IDLE_TIMEOUT_MS : 0),
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    // Every spelling of a path is made one before anything is matched, so none walks around a rule. A host's port is
    // left in the header, which the workload may need, and is passed over where hosts are matched.
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT,
    stripTrailingHostDot: true,
  });
  setRoutes(manager, options.routes);
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) },
  });
}

/** Sidecars leave idle streams alone, as in Istio; strangers at a gateway may hold one for five minutes. */
const EDGE_IDLE_TIMEOUT_MS = 300_000;

function setRoutes(manager: HttpConnectionManager, routes: HttpConnectionOptions["routes"]): void {
  manager.routeSpecifier =
    "rds" in routes
      ? { case: "rds", value: create(RdsSchema, { routeConfigName: routes.rds, configSource: adsSource() }) }
      : { case: "routeConfig", value: routes.inline };
}

/** Extensions that authenticate and authorize go first: what they do to a request counts when its route is decided. */
function httpFilters({ decides, traffic }: HttpConnectionOptions, context: Context): HttpFilter[] {
  const { early, late } = extensionFilters(context, traffic);
  return [
    ...early,
    ...(decides ? [trafficFilter(), filter("envoy.filters.http.cors", pack(CorsSchema, create(CorsSchema)))] : []),
    ...late,
    filter("envoy.filters.http.router", pack(RouterSchema, create(RouterSchema))),
  ];
}

function filter(name: string, typedConfig: ReturnType<typeof pack>): HttpFilter {
  return create(HttpFilterSchema, { name, configType: { case: "typedConfig", value: typedConfig } });
}

/**
 * The filter's code comes by ECDS, so a swap touches no listener. Until it is there, or if it never comes, a filter that
 * does nothing stands in: hosts without rules are served, hosts with rules answer what their undecided route says.
 */
function trafficFilter(): HttpFilter {
  return create(HttpFilterSchema, {
    name: FILTER_NAME,
    configType: {
      case: "configDiscovery",
      value: {
        configSource: adsSource(),
        typeUrls: [typeUrlOf(WasmSchema), typeUrlOf(HeaderMutationSchema)],
        defaultConfig: pack(HeaderMutationSchema, create(HeaderMutationSchema, { mutations: {} })),
      },
    },
  });
}
