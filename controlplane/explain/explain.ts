// What a proxy does with a request, found offline: the very rules that would be pushed to it, decided by the very module
// that decides in Envoy.
import { ruleOrigin } from "../mesh/delegates.js";
import type { Mesh } from "../mesh/mesh.js";
import { compilePolicy } from "../policy/compile.js";
import type { PolicyRule } from "../policy/rule.js";
import type { Proxy } from "../proxy/proxy.js";
import type { HttpDirectResponse, HttpRedirect, HttpRoute } from "../resources/virtual-service.js";
import { clusterName } from "../translate/cluster-name.js";
import { type Context, createContext } from "../translate/context.js";
import { Memo } from "../translate/memo.js";
import {
  buildHostRules,
  type DecidedRoute,
  type GoverningRules,
  type HostRules,
  type RuleSource,
} from "../translate/rules.js";
import { siteObstacle } from "../translate/site.js";
import type { FilterRequest } from "../wasm-host/request.js";
import type { Explanation as FilterExplanation, TrafficFilter } from "../wasm-host/traffic-filter.js";
import { findHost } from "./find-host.js";
import { type PassedExtension, passedExtensions } from "./passed-extensions.js";
import { SOLE_WEIGHT, weightsAt } from "./weights.js";

/** A request at a proxy. */
export interface DescribedRequest extends FilterRequest {
  /** As the policies number it: a service's port, or a Gateway server's. */
  readonly port: number;
  /** namespace/name, where a gateway proxy serves several and only one is meant. */
  readonly gateway?: string;
  /** Milliseconds since the epoch: ramps and expiring faults go by it. */
  readonly now: number;
  /** The same number gives the same draws. */
  readonly seed: bigint;
}

export interface RuleReference {
  readonly kind: "VirtualService";
  readonly namespace: string;
  readonly name: string;
  /** Of the rule in spec.http. */
  readonly index: number;
  /** The rule's name; null where it has none. */
  readonly http: string | null;
  /** The alternative in the rule's match that held; null where the rule matches everything. */
  readonly match: number | null;
}

export interface FaultOdds {
  readonly delayMs: number | null;
  readonly abortStatus: number | null;
  readonly abortGrpcStatus: number | null;
  /** Of the abort, or of the delay where there is no abort. 0 to 100. */
  readonly percentage: number;
  readonly delayPercentage: number | null;
  readonly abortPercentage: number | null;
  /** Drawn for every try of a request, not once. */
  readonly perTry: boolean;
}

/** Plain JSON. Null says that there is none. */
export interface Explained {
  /** The domain that the authority matched. */
  readonly host: string;
  /** The rule that matched; null where none did, or where the host has none. */
  readonly rule: RuleReference | null;
  /** The route's id, or the native route's name. */
  readonly route: string;
  /** With their weights at that time, as far as a ramp has come. */
  readonly destinations: readonly { readonly cluster: string; readonly weight: number }[];
  /** The cluster that this draw, or the sticky key, chose. */
  readonly chosen: string | null;
  readonly sticky: string | null;
  /** What pins the request to that cluster, whatever the weights and the sticky key say. */
  readonly pinned: string | null;
  /** Null, too, for a fault that has expired by then. */
  readonly fault: FaultOdds | null;
  readonly redirect: HttpRedirect | null;
  readonly directResponse: { readonly status: number; readonly body: string } | null;
  /** Alternatives of earlier rules, in order, and the first condition of each that does not hold. */
  readonly rejected: readonly {
    readonly virtualService: string;
    readonly index: number;
    readonly match: number;
    readonly because: string;
  }[];
  /** What else the request passes through, in order; its effect is not part of this explanation. */
  readonly extensions: readonly PassedExtension[];
  /** The path that the rules see. */
  readonly path: string;
  /** Envoy first sends the client to that path by a redirect. */
  readonly redirectedToPath: boolean;
}

/** Explains, or says why the proxy has no rules for such a request. */
export function explainRequest(
  mesh: Mesh,
  proxy: Proxy,
  request: DescribedRequest,
  filter: TrafficFilter,
  wasm: Uint8Array,
): Explained | { readonly error: string } {
  const context = createContext(mesh, proxy, { trafficFilter: { wasm } }, new Memo());
  const found = findHost(request.authority, request.port, request.gateway, context);
  if ("error" in found) return found;
  const extensions = passedExtensions(context, request.port);
  if (found.governing.length === 0)
    return { ...explainNative(found.domain, found.service?.hostname ?? "", request), extensions };
  const rules = buildHostRules(found.governing, context);
  const { compiled, problems } = compilePolicy(rules.policy);
  if (!compiled)
    return { error: `the host's rules do not compile: ${problems.map(({ message }) => message).join("; ")}` };
  const decided = filter.explain(compiled, request, { now: request.now, random: request.seed });
  if ("error" in decided) return decided;
  return { ...describe(found.domain, rules, found.governing, decided, context, request), extensions };
}

type Decided = Omit<Explained, "extensions">;

function explainNative(domain: string, hostname: string, request: DescribedRequest): Decided {
  const cluster = clusterName("outbound", request.port, "", hostname);
  return {
    host: domain,
    rule: null,
    route: "default",
    destinations: [{ cluster, weight: SOLE_WEIGHT }],
    chosen: cluster,
    sticky: null,
    pinned: null,
    fault: null,
    redirect: null,
    directResponse: null,
    rejected: [],
    path: request.path,
    redirectedToPath: false,
  };
}

function describe(
  host: string,
  rules: HostRules,
  governing: readonly GoverningRules[],
  decided: FilterExplanation,
  context: Context,
  request: DescribedRequest,
): Decided {
  const index = decided.ruleIndex ?? -1;
  const source = rules.sources[index];
  const policy = rules.policy[index];
  const rule = source?.virtualService.spec.http[source.httpIndex];
  const weights = policy ? weightsAt(policy, request.now) : [];
  const destinations = (policy?.destinations ?? []).flatMap(({ route }, at) => {
    const cluster = clusterOf(rules.routes.get(route));
    return cluster === undefined ? [] : [{ cluster, weight: weights[at] ?? 0 }];
  });
  return {
    host,
    rule: source && rule ? reference(source, rule, decided.matchIndex) : null,
    route: decided.route ?? "undecided",
    destinations,
    chosen: (decided.route !== undefined && clusterOf(rules.routes.get(decided.route))) || null,
    sticky: stickyText(policy),
    pinned: pinText(policy, request),
    fault: faultOdds(policy, request.now),
    redirect: rule?.redirect ?? null,
    directResponse: responseOf(decided.route, rules, rule?.directResponse),
    rejected: rejections(rules, governing, decided, source, context),
    path: decided.path,
    redirectedToPath: decided.redirected,
  };
}

function reference(source: RuleSource, rule: HttpRoute, matchIndex: number | undefined): RuleReference {
  const { owner, index } = ruleOrigin(source.virtualService, source.httpIndex);
  const { namespace, name } = owner.meta;
  const match = matchIndex === undefined ? undefined : source.matchIndexes[matchIndex];
  return {
    kind: "VirtualService",
    namespace,
    name,
    index,
    http: rule.name ?? null,
    match: match ?? null,
  };
}

function clusterOf(decided: DecidedRoute | undefined): string | undefined {
  const action = decided?.route.action;
  if (action?.case !== "route") return undefined;
  const specifier = action.value.clusterSpecifier;
  return specifier.case === "cluster" ? specifier.value : undefined;
}

/** What Envoy answers by itself: the rule's response, 404 where no rule matched, 503 for a missing destination. */
function responseOf(
  route: string | undefined,
  rules: HostRules,
  written: HttpDirectResponse | undefined,
): Explained["directResponse"] {
  if (written) return { status: written.status, body: bodyText(written) };
  const action = route === undefined ? undefined : rules.routes.get(route)?.route.action;
  if (action?.case !== "directResponse") return null;
  const { status, body } = action.value;
  return { status, body: body?.specifier.case === "inlineString" ? body.specifier.value : "" };
}

function bodyText({ body }: HttpDirectResponse): string {
  if (!body) return "";
  return "string" in body ? body.string : Buffer.from(body.bytes).toString("latin1");
}

function stickyText(policy: PolicyRule | undefined): string | null {
  const key = policy?.rollout?.sticky?.key;
  if (!key) return null;
  return key.type === "sourceAddress" ? "source address" : `${key.type} ${key.name}`;
}

function pinText(policy: PolicyRule | undefined, { headers }: DescribedRequest): string | null {
  const override = policy?.rollout?.override;
  if (!override) return null;
  const isOne = ([name, value]: readonly [string, string]) =>
    name.toLowerCase() === override.header.toLowerCase() && override.values.has(value);
  return headers.some(isOne) ? `header ${override.header}` : null;
}

function faultOdds(policy: PolicyRule | undefined, now: number): FaultOdds | null {
  const fault = policy?.fault;
  if (!fault || now >= (fault.expiresAt ?? Number.POSITIVE_INFINITY)) return null;
  const { delay, abort } = fault;
  return {
    delayMs: delay?.millis ?? null,
    abortStatus: abort?.httpStatus ?? null,
    abortGrpcStatus: abort?.grpcStatus ?? null,
    percentage: abort?.percentage ?? delay?.percentage ?? 0,
    delayPercentage: delay?.percentage ?? null,
    abortPercentage: abort?.percentage ?? null,
    perTry: fault.perTry ?? false,
  };
}

/** Both what the filter tells and what was settled before: alternatives that cannot hold at this proxy at all. */
function rejections(
  rules: HostRules,
  governing: readonly GoverningRules[],
  decided: FilterExplanation,
  matched: RuleSource | undefined,
  context: Context,
): Explained["rejected"] {
  const byFilter = new Map<string, string>();
  for (const { ruleIndex, matchIndex, because } of decided.rejected) {
    const source = rules.sources[ruleIndex];
    const match = source?.matchIndexes[matchIndex];
    if (source && match !== undefined) byFilter.set(keyOf(source.virtualService, source.httpIndex, match), because);
  }
  const found: Explained["rejected"][number][] = [];
  for (const { virtualService, site } of governing) {
    const end = matched?.virtualService === virtualService ? matched.httpIndex : virtualService.spec.http.length;
    for (const [at, rule] of virtualService.spec.http.slice(0, end + 1).entries()) {
      const { owner, index } = ruleOrigin(virtualService, at);
      const { namespace, name } = owner.meta;
      for (const [match, alternative] of rule.match.entries()) {
        const obstacle = siteObstacle(alternative, virtualService, site, context.proxy);
        const because = obstacle ?? byFilter.get(keyOf(virtualService, at, match));
        if (because !== undefined) found.push({ virtualService: `${namespace}/${name}`, index, match, because });
      }
    }
  }
  return found;
}

function keyOf({ meta }: RuleSource["virtualService"], index: number, match: number): string {
  return `${meta.namespace}/${meta.name} ${index} ${match}`;
}
