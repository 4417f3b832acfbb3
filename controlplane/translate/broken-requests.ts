// Counts the requests that modules of extensions break off, where a rollout has to know: when a module traps under FAIL_OPEN or
// FAIL_CLOSE, Envoy has no statistic for it, but says of the request that was under way what ended it.
import { create } from "@bufbuild/protobuf";
import { type AccessLog, AccessLogSchema } from "../gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { ExpressionFilterSchema } from "../gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { ConfigSchema } from "../gen/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { type Extension, runsModule } from "../mesh/extensions.js";
import type { Context } from "./context.js";
import { extensionName } from "./extension-config.js";
import { placedExtensions, type TrafficSite } from "./extensions.js";
import { pack } from "./resource.js";

/** What Envoy gives as the response's details when a module broke the request off; not whose. */
const BROKEN_OFF = "response.code_details == 'wasm_fail_stream'";

/**
 * The counters wasm.NAME.requests_broken of the extensions in this traffic that rollouts change. Envoy does not say which
 * module it was: where there are several, each one's counter goes up. A trap outside of requests is not counted.
 */
export function brokenRequestCounters(context: Context, site: TrafficSite): AccessLog[] {
  const { early, late } = placedExtensions(context, site);
  const names = [...early, ...late].filter(isRolledOut).map(extensionName);
  if (names.length === 0) return [];
  const config = create(ConfigSchema, {
    statsScope: { prefix: "wasm" },
    counters: names.map((name) => ({ stat: { name: `${name}.requests_broken` }, valueFixed: 1n })),
  });
  return [
    create(AccessLogSchema, {
      name: "envoy.access_loggers.stats",
      filter: {
        filterSpecifier: {
          case: "extensionFilter",
          value: {
            name: "envoy.access_loggers.extension_filters.cel",
            configType: {
              case: "typedConfig",
              value: pack(ExpressionFilterSchema, create(ExpressionFilterSchema, { expression: BROKEN_OFF })),
            },
          },
        },
      },
      configType: { case: "typedConfig", value: pack(ConfigSchema, config) },
    }),
  ];
}

/** Of FAIL_RELOAD Envoy has statistics that say whose VM it was (wasm.NAME.vm_reload_*). */
function isRolledOut(extension: Extension): boolean {
  if (!runsModule(extension)) return false;
  const { source, failStrategy } = extension.spec.wasm;
  return source.type === "registry" && source.version === undefined && failStrategy !== "FAIL_RELOAD";
}
