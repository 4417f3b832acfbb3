// A sidecar's outbound HTTP: one route configuration for each port, a virtual host for each host in scope.
import { create } from "@bufbuild/protobuf";
import { type Route, RouteSchema, type VirtualHost } from "../gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/config/route/v3/route_pb.js";
import type { EgressScope } from "../mesh/scope.js";
import type { MeshService } from "../mesh/service.js";
import { clusterName, PASSTHROUGH_CLUSTER } from "./cluster-name.js";
import { effectiveSettings } from "./cluster-policy.js";
import { type Context, destinationPolicy } from "./context.js";
import { type HostPlan, indexMeshRules, planOutboundHosts } from "./host-plan.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { anyPath, statusRoute } from "./route.js";
import { routeAction } from "./route-action.js";
import { buildHostRules } from "./rules.js";
import { decidedVirtualHost, nativeVirtualHost } from "./virtual-host.js";

/** The annotation of a VirtualService by which its hosts are served without a decision when the filter cannot decide. */
const FAIL_OPEN_ANNOTATION = "headgate.dev/fail-open";

/** The route configuration of one outbound port. */
export function outboundRoutes(name: string, egress: EgressScope, port: number, context: Context): EnvoyResource {
  const hosts = outboundHosts(egress, port, context).map((plan) => outboundVirtualHost(plan, port, context));
  const configuration = create(RouteConfigurationSchema, {
    name,
    virtualHosts: [...hosts, catchAll(context)],
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
    ignorePortInHostMatching: true,
  });
  return encodeResource(RouteConfigurationSchema, name, configuration);
}

/** directResponse bodies of up to 1 MiB, as Istio allows. */
export const MAX_DIRECT_RESPONSE_BYTES = 1_048_576;

export function outboundHosts(egress: EgressScope, port: number, context: Context): HostPlan[] {
  return planOutboundHosts(
    egress,
    indexMeshRules(egress.virtualServices),
    port,
    context.proxy.namespace,
    (hostname) => context.scope.resolve(hostname, context.proxy.namespace) !== undefined,
  );
}

function outboundVirtualHost(plan: HostPlan, port: number, context: Context): VirtualHost {
  const own = plan.service ? serviceRoute(plan.service, port, context) : undefined;
  if (plan.virtualServices.length === 0) {
    return nativeVirtualHost(plan.name, plan.domains, own ? [own] : []);
  }
  const site = { gateway: "mesh", port };
  const governing = plan.virtualServices.map((virtualService) => ({ virtualService, site }));
  const rules = buildHostRules(governing, context);
  return decidedVirtualHost(plan.name, plan.domains, rules, failsOpen(plan) ? own : undefined);
}

function failsOpen(plan: HostPlan): boolean {
  return plan.virtualServices.some(({ meta }) => meta.annotations[FAIL_OPEN_ANNOTATION] === "true");
}

/** Where a host's requests go when no rule speaks of it. */
function serviceRoute(service: MeshService, port: number, context: Context): Route {
  const settings = effectiveSettings(port, destinationPolicy(context, service)?.trafficPolicy, undefined);
  const consistentHash = settings.loadBalancer?.consistentHash;
  const cluster = clusterName("outbound", port, "", service.hostname);
  return create(RouteSchema, {
    name: "default",
    match: anyPath(),
    action: {
      case: "route",
      value: routeAction(undefined, undefined, { cluster, mirrors: [], ...(consistentHash ? { consistentHash } : {}) }),
    },
  });
}

/**
 * Hosts that are not in scope: passed through to wherever the client was going, or answered 502. Without captured
 * traffic nobody knows where the client was going, so there it is always 502.
 */
function catchAll(context: Context): VirtualHost {
  if (!passesThrough(context)) {
    return nativeVirtualHost("block_all", ["*"], [statusRoute("block_all", 502, "")]);
  }
  const route = create(RouteSchema, {
    name: "allow_any",
    match: anyPath(),
    action: { case: "route", value: routeAction(undefined, undefined, { cluster: PASSTHROUGH_CLUSTER, mirrors: [] }) },
  });
  return nativeVirtualHost("allow_any", ["*"], [route]);
}

export function passesThrough(context: Context): boolean {
  const mode = context.scope.sidecar?.spec.outboundTrafficPolicy?.mode ?? "ALLOW_ANY";
  return context.proxy.interceptionMode === "REDIRECT" && mode === "ALLOW_ANY";
}
