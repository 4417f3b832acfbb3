// Extensions in the filter chain: each has a place there, and comes by ECDS, so that what it runs changes by itself.
import { create } from "@bufbuild/protobuf";
import { HTTPFaultSchema } from "../gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { HeaderMutationSchema } from "../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { LuaSchema } from "../gen/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { WasmSchema } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { type Extension, extensionsFor, runsModule } from "../mesh/extensions.js";
import type { Context } from "./context.js";
import { extensionName, standIn } from "./extension-config.js";
import { typeUrlOf } from "./resource.js";
import { adsSource } from "./values.js";

/** The traffic of a connection manager: what the workload asks for (a gateway's, too) or is asked for, and the port. */
export interface TrafficSite {
  readonly mode: "CLIENT" | "SERVER";
  /** The service's; for SERVER, the one of the workload that was called. */
  readonly port: number;
}

/** All extensions of a proxy, in the chain's order. The same list for as long as nothing in it changes. */
export function proxyExtensions({ memo, mesh, proxy }: Context): readonly Extension[] {
  return memo.list(`extensions of ${proxy.id}`, [mesh.extensions, proxy], () => extensionsFor(mesh, proxy));
}

/** What stands before the traffic filter decides (phases AUTHN, AUTHZ), and what stands right before the router. */
export interface Placed<T> {
  readonly early: readonly T[];
  readonly late: readonly T[];
}

/** The extensions that this traffic passes through, in the chain's order. */
export function placedExtensions(context: Context, site: TrafficSite): Placed<Extension> {
  const matching = proxyExtensions(context).filter(({ spec }) => isFor(spec.match, site));
  const isEarly = ({ spec }: Extension) => spec.phase === "AUTHN" || spec.phase === "AUTHZ";
  return { early: matching.filter(isEarly), late: matching.filter((extension) => !isEarly(extension)) };
}

export function extensionFilters(context: Context, site: TrafficSite): Placed<HttpFilter> {
  const { early, late } = placedExtensions(context, site);
  return { early: early.map(extensionFilter), late: late.map(extensionFilter) };
}

function isFor(match: Extension["spec"]["match"], { mode, port }: TrafficSite): boolean {
  if (match.length === 0) return true;
  return match.some(
    (selector) =>
      (selector.mode === "CLIENT_AND_SERVER" || selector.mode === mode) &&
      (selector.ports.length === 0 || selector.ports.includes(port)),
  );
}

/** Should Envoy refuse what comes, with nothing there before, the extension's failStrategy says what becomes of requests. */
function extensionFilter(extension: Extension): HttpFilter {
  return create(HttpFilterSchema, {
    name: extensionName(extension),
    configType: {
      case: "configDiscovery",
      value: {
        configSource: adsSource(),
        typeUrls: [runsModule(extension) ? WasmSchema : LuaSchema, HeaderMutationSchema, HTTPFaultSchema].map(
          typeUrlOf,
        ),
        defaultConfig: standIn(extension),
      },
    },
  });
}
