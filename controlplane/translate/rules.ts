// VirtualService HTTP rules -> the rules the filter decides by, and the routes its decisions name.
import { create, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type Route, RouteSchema } from "../gen/envoy/config/route/v3/route_components_pb.js";
import { CorsPolicySchema } from "../gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { destinationLabel, rolloutKey } from "../mesh/rollouts.js";
import type { PolicyDestination, PolicyRule } from "../policy/rule.js";
import { finish, type Steps } from "../policy/steps.js";
import type { HttpMatch, HttpRoute, HttpRouteDestination, VirtualService } from "../resources/virtual-service.js";
import { type Context, destinationPolicy, resolveDestination, targetSettings } from "./context.js";
import { ruleFault, tryFaultMetadata } from "./fault.js";
import { applyHeaderOperations, authorityOf } from "./header-operations.js";
import { contentHash, pack } from "./resource.js";
import { ruleRollout } from "./rollout.js";
import {
  anyPath,
  dependsOnAlternative,
  directResponseRoute,
  pathMatch,
  redirectRoute,
  rewritesMatchedPath,
  routeName,
  statusRoute,
} from "./route.js";
import { corsPolicy, routeAction } from "./route-action.js";
import { canHold, type Site } from "./site.js";

/** Where one policy rule came from; `rule` is undefined for the closing one that answers 404. */
export interface RuleSource {
  readonly virtualService: VirtualService;
  readonly httpIndex: number;
  /** The alternatives of the VirtualService's rule that the policy rule holds, by index. */
  readonly matchIndexes: readonly number[];
}

/** The HTTP rules of one host at one site. */
export interface HostRules {
  readonly policy: readonly PolicyRule[];
  /** One for each policy rule, in order; the last policy rule, which catches what no other matched, has none. */
  readonly sources: readonly RuleSource[];
  /** By route id. */
  readonly routes: ReadonlyMap<string, DecidedRoute>;
}

/** A route that decisions name, and its encoding, which its id is a hash of. */
export interface DecidedRoute {
  readonly route: Route;
  readonly encoded: Uint8Array;
}

/** A VirtualService and where its rules are to apply. */
export interface GoverningRules {
  readonly virtualService: VirtualService;
  readonly site: Site;
}

const RULES_A_STEP = 100;

/**
 * The rules of a host: those of each VirtualService in order, those that match everything last, so that several can
 * share a host. Rules that cannot match here, and those behind one that matches everything, are left out.
 */
export function buildHostRules(governing: readonly GoverningRules[], context: Context): HostRules {
  return finish(hostRulesInSteps(governing, context));
}

/** The same, for thousands of rules. */
export function* hostRulesInSteps(governing: readonly GoverningRules[], context: Context): Steps<HostRules> {
  const policy: PolicyRule[] = [];
  const sources: RuleSource[] = [];
  const routes = new Map<string, DecidedRoute>();
  const all = governing.flatMap(({ virtualService, site }) =>
    virtualService.spec.http.map((rule, httpIndex) => ({ virtualService, site, rule, httpIndex })),
  );
  const ordered = [
    ...all.filter(({ rule }) => rule.match.length > 0),
    ...all.filter(({ rule }) => rule.match.length === 0),
  ];
  for (const { virtualService, site, rule, httpIndex } of governing.length > 1 ? ordered : all) {
    for (const { matches, matchIndexes } of rulesAt(rule, virtualService, site, context)) {
      const destinations = buildDestinations(rule, matches[0], virtualService, site, context, routes);
      const fault = ruleFault(rule, virtualService);
      const rollout = ruleRollout(rule, virtualService, context);
      policy.push({ matches, destinations, ...(fault ? { fault } : {}), ...(rollout ? { rollout } : {}) });
      sources.push({ virtualService, httpIndex, matchIndexes });
      if (matches.length === 0) return { policy, sources, routes };
      if (policy.length % RULES_A_STEP === 0) yield;
    }
  }
  return close(policy, sources, routes);
}

/** All that the rules of a VirtualService are translated from, for comparison by identity. */
export function ruleDependencies(virtualService: VirtualService, context: Context): unknown[] {
  const { meta, spec } = virtualService;
  const found: unknown[] = [virtualService];
  for (const rule of spec.http) {
    for (const { destination } of [...rule.route, ...rule.mirrors]) {
      const service = context.scope.resolve(destination.host, meta.namespace);
      found.push(service, service && destinationPolicy(context, service));
    }
    if (rule.name !== undefined) {
      const route = { virtualService: meta.name, route: rule.name };
      found.push(context.mesh.rollouts.get(rolloutKey(meta.namespace, route)));
    }
  }
  return found;
}

/** What no rule matches is answered as Envoy answers what no route matches: 404. */
function close(policy: PolicyRule[], sources: readonly RuleSource[], routes: Map<string, DecidedRoute>): HostRules {
  const route = register(routes, statusRoute("unmatched", 404, ""));
  policy.push({ matches: [], destinations: [{ route, weight: 1 }] });
  return { policy, sources, routes };
}

interface RulePart {
  readonly matches: readonly HttpMatch[];
  readonly matchIndexes: readonly number[];
}

/** The rule's alternatives that can hold here: together, or one by one where the routes depend on which one matched. */
function rulesAt(rule: HttpRoute, owner: VirtualService, site: Site, context: Context): RulePart[] {
  if (rule.match.length === 0) return [{ matches: [], matchIndexes: [] }];
  const holding = [...rule.match.entries()].filter(([, match]) => canHold(match, owner, site, context.proxy));
  if (dependsOnAlternative(rule)) {
    return holding.map(([index, match]) => ({ matches: [match], matchIndexes: [index] }));
  }
  if (holding.length === 0) return [];
  return [{ matches: holding.map(([, match]) => match), matchIndexes: holding.map(([index]) => index) }];
}

function buildDestinations(
  rule: HttpRoute,
  match: HttpMatch | undefined,
  owner: VirtualService,
  site: Site,
  context: Context,
  routes: Map<string, DecidedRoute>,
): PolicyDestination[] {
  const name = routeName(rule, match);
  const single = (route: Route) => {
    applyHeaderOperations(route, [rule.headers]);
    return [{ route: register(routes, route), weight: 1 }];
  };
  if (rule.redirect) return single(redirectRoute(name, rule.redirect, match, site));
  if (rule.directResponse) return single(directResponseRoute(name, rule.directResponse));
  const only = rule.route.length === 1;
  const labels = rule.route.map(destinationLabel);
  const distinct = new Set(labels).size === labels.length;
  return rule.route.map((destination) => ({
    route: register(routes, destinationRoute(rule, destination, match, owner, site, context)),
    weight: only ? 1 : destination.weight,
    ...(distinct ? { label: destinationLabel(destination) } : {}),
  }));
}

function destinationRoute(
  rule: HttpRoute,
  destination: HttpRouteDestination,
  match: HttpMatch | undefined,
  owner: VirtualService,
  site: Site,
  context: Context,
): Route {
  const { namespace } = owner.meta;
  const name = routeName(rule, match);
  const target = resolveDestination(context, destination.destination, namespace, site.port);
  if ("missing" in target) return statusRoute(name, 503, `headgate: no ${target.missing}\n`);
  const operations = [rule.headers, destination.headers];
  const authority = authorityOf(operations);
  const consistentHash = targetSettings(target).loadBalancer?.consistentHash;
  const mirrors = rule.mirrors.map((mirror) => {
    const shadow = resolveDestination(context, mirror.destination, namespace, site.port);
    return "missing" in shadow ? undefined : shadow.cluster;
  });
  const metadata = tryFaultMetadata(ruleFault(rule, owner));
  const route = create(RouteSchema, {
    name,
    ...(metadata ? { metadata } : {}),
    statPrefix: match?.statPrefix ?? "",
    match: rewritesMatchedPath(rule) ? pathMatch(match) : anyPath(),
    action: {
      case: "route",
      value: routeAction(rule, match, {
        cluster: target.cluster,
        mirrors,
        ...(consistentHash ? { consistentHash } : {}),
        ...(authority === undefined ? {} : { authority }),
      }),
    },
    typedPerFilterConfig: perFilterConfig(rule),
  });
  applyHeaderOperations(route, operations);
  return route;
}

function perFilterConfig(rule: HttpRoute): Record<string, Any> {
  if (!rule.corsPolicy) return {};
  return { "envoy.filters.http.cors": pack(CorsPolicySchema, corsPolicy(rule.corsPolicy)) };
}

/** A route's id says what the route does, so rules that do the same share it and an unchanged rule keeps it. */
function register(routes: Map<string, DecidedRoute>, route: Route): string {
  const encoded = toBinary(RouteSchema, route);
  const id = contentHash(encoded);
  routes.set(id, { route, encoded });
  return id;
}
