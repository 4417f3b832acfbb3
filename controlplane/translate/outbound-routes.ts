// A sidecar's outbound HTTP: one route configuration for each port, a virtual host for each host in scope.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../gen/envoy/config/route/v3/route_components_pb.js";
import { type EgressScope, servicesByPort } from "../mesh/scope.js";
import { isHttp, type MeshService, type Protocol, portProtocol, type ServicePort } from "../mesh/service.js";
import { finish, type Steps } from "../policy/steps.js";
import { FAIL_OPEN_ANNOTATION } from "../resources/annotations.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { clusterName, PASSTHROUGH_CLUSTER } from "./cluster-name.js";
import { effectiveSettings } from "./cluster-policy.js";
import { type Context, destinationPolicy } from "./context.js";
import { type HostPlan, indexMeshRules, type MeshRules, planOutboundHosts, planServiceHosts } from "./host-plan.js";
import { Pool } from "./pool.js";
import type { EnvoyResource } from "./resource.js";
import { anyPath, statusRoute } from "./route.js";
import { routeAction } from "./route-action.js";
import { type EncodedHost, encodeHostAround, routeConfiguration } from "./route-configuration.js";
import { hostRulesInSteps, ruleDependencies } from "./rules.js";
import { decidedVirtualHost, nativeVirtualHost } from "./virtual-host.js";

/** One outbound port with services behind it. */
export interface OutboundPort {
  readonly egress: EgressScope;
  /** 0 for a listener on a socket that takes each service on the first of its ports. */
  readonly port: number;
  readonly services: readonly MeshService[];
}

/** The name of a port's route configuration: the port, with the address that an egress listener asks for before it. */
export function routeNameOf({ egress, port }: OutboundPort): string {
  return egress.bind === undefined ? String(port) : `${egress.bind}_${port}`;
}

/** The ports of a sidecar's egress that have HTTP services, with these; of two with one name the first counts. */
export function httpPorts(context: Context): readonly OutboundPort[] {
  const names = new Set<string>();
  const isNew = (name: string) => !names.has(name) && names.add(name);
  return outboundPorts(context)
    .map((entry) => ({ ...entry, services: httpServices(entry, context) }))
    .filter((entry) => entry.services.length > 0 && isNew(routeNameOf(entry)));
}

function httpServices(entry: OutboundPort, context: Context): readonly MeshService[] {
  return context.memo.list(`http of ${routeNameOf(entry)}`, [entry.services, entry.egress.port?.protocol], () =>
    entry.services.filter((service) => {
      const own = portOf(entry, service, isHttp);
      return own !== undefined && isHttp(readAs(entry, own.protocol));
    }),
  );
}

/** The port of a service that a request to the outbound port means, if the service has one of such a protocol. */
export function portOf(
  { port }: Pick<OutboundPort, "port">,
  service: MeshService,
  isRight: (protocol: Protocol) => boolean,
): ServicePort | undefined {
  return service.ports.find((own) => (port === 0 || own.number === port) && isRight(own.protocol));
}

/** How the port's traffic is read: as the egress listener says, where it says, else as the service's port does. */
export function readAs({ egress }: OutboundPort, own: Protocol): Protocol {
  return egress.port?.protocol === undefined ? own : portProtocol(egress.port.protocol);
}

/** All ports of a sidecar's egress, listener by listener, in rising order within each. */
export function outboundPorts(context: Context): readonly OutboundPort[] {
  return context.scope.egress.flatMap((egress, index) => {
    if (egress.port?.number === 0) return [{ egress, port: 0, services: egress.services }];
    const byPort = context.memo.of(`ports of egress ${index}`, { cheap: [egress.services] }, () => [
      ...servicesByPort(egress.services),
    ]);
    return byPort
      .filter(([port]) => egress.port === undefined || egress.port.number === port)
      .map(([port, services]) => ({ egress, port, services }));
  });
}

/** The route configuration of one outbound port. */
export function outboundRoutes(entry: OutboundPort, context: Context): EnvoyResource[] {
  const hosts = finish(encodedHosts(entry, context));
  return routeConfiguration(routeNameOf(entry), hosts, [catchAll(context)], context.proxy.separateHosts);
}

/** All hosts of an outbound port. */
export function encodedHosts(entry: OutboundPort, context: Context): Steps<readonly EncodedHost[]> {
  const { memo, mesh } = context;
  return memo.steps(`encoded hosts of ${routeNameOf(entry)}`, { cheap: [mesh] }, function* () {
    const hosts: EncodedHost[] = [];
    for (const plan of outboundHosts(entry, context)) {
      yield;
      hosts.push(yield* encodedHost(entry, plan, context));
    }
    return hosts;
  });
}

/** One host of an outbound port, as it was before where nothing that it depends on changed. */
function encodedHost(entry: OutboundPort, plan: HostPlan, context: Context): Steps<EncodedHost> {
  const name = routeNameOf(entry);
  const { mesh } = context;
  const dependencies = {
    cheap: [
      plan.domainText,
      plan.service,
      ...plan.virtualServices,
      mesh.services,
      mesh.destinationRules,
      mesh.rollouts,
    ],
    exact: () => [
      plan.domainText,
      plan.service,
      plan.service && destinationPolicy(context, plan.service),
      ...plan.virtualServices.flatMap((virtualService) => ruleDependencies(virtualService, context)),
    ],
  };
  return context.memo.steps(`host ${name}/${plan.name}`, dependencies, function* () {
    const body = yield* hostBody(plan, dependencies.exact, context);
    return encodeHostAround(name, plan.name, plan.domains, body);
  });
}

const bodyPool = new Pool<Uint8Array>();

/** What a host says but for its name and domains, which clients of its own namespace have more of. */
function* hostBody(plan: HostPlan, exact: () => readonly unknown[], context: Context): Steps<Uint8Array> {
  const [first] = plan.virtualServices;
  if (!first || plan.virtualServices.some(looksAtClients)) return yield* encodedBody(plan, context);
  const [_domains, ...others] = exact();
  const on = [context.options, plan.port, ...others];
  return bodyPool.find(first, on) ?? bodyPool.add(first, on, yield* encodedBody(plan, context));
}

function* encodedBody(plan: HostPlan, context: Context): Steps<Uint8Array> {
  return toBinary(VirtualHostSchema, yield* outboundVirtualHost({ ...plan, domains: [], name: "" }, context));
}

/** Whether rules hold for some clients only, by namespace or labels. */
function looksAtClients({ spec }: VirtualService): boolean {
  return spec.http.some(({ match }) =>
    match.some(
      ({ sourceNamespace, sourceLabels }) => sourceNamespace !== undefined || Object.keys(sourceLabels).length > 0,
    ),
  );
}

/** The rules that hold on an outbound port. */
export function outboundRules(entry: OutboundPort, { memo }: Context): MeshRules {
  const { virtualServices } = entry.egress;
  return memo.of(`rules of ${routeNameOf(entry)}`, { cheap: [virtualServices] }, () => indexMeshRules(virtualServices));
}

/** What the sidecar does with each host of a port. */
export function outboundHosts(entry: OutboundPort, context: Context): readonly HostPlan[] {
  const { port, services } = entry;
  const { memo, mesh, proxy, scope } = context;
  return memo.of(`plans of ${routeNameOf(entry)}`, { cheap: [mesh] }, () => {
    const own = memo.of(`hosts of ${routeNameOf(entry)}`, { cheap: [services] }, () =>
      planServiceHosts(services, (service) => portOf(entry, service, isHttp)?.number, proxy.namespace),
    );
    const isService = (host: string) => scope.resolve(host, proxy.namespace) !== undefined;
    return planOutboundHosts(own, outboundRules(entry, context), port, proxy.namespace, isService);
  });
}

function* outboundVirtualHost(plan: HostPlan, context: Context): Steps<VirtualHost> {
  const { port } = plan;
  const own = plan.service ? serviceRoute(plan.service, port, context) : undefined;
  if (plan.virtualServices.length === 0) {
    return nativeVirtualHost(plan.name, plan.domains, own ? [own] : []);
  }
  const site = { gateway: "mesh", port };
  const governing = plan.virtualServices.map((virtualService) => ({ virtualService, site }));
  const rules = yield* hostRulesInSteps(governing, context);
  return yield* decidedVirtualHost(plan.name, plan.domains, rules, failsOpen(plan) ? own : undefined);
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
