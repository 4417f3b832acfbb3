// Delegation: a root VirtualService's rules that hand over to another one are replaced by that one's rules.

import type { Violation } from "../resources/violation.js";
import { violationAt } from "../resources/violation-at.js";
import type { Destination, HttpMatch, HttpRoute, StringMatch, VirtualService } from "../resources/virtual-service.js";
import { fullHostname } from "./hostname.js";
import { isExported } from "./visibility.js";

/** Where a rule of a root stands. */
export interface RuleOrigin {
  readonly owner: VirtualService;
  /** In the owner's http, as written. */
  readonly index: number;
}

/** By rule of a root that has delegates. */
const origins = new WeakMap<HttpRoute, RuleOrigin>();

/** Where the rule at an index of a root with its delegates in place was written. */
export function ruleOrigin(root: VirtualService, index: number): RuleOrigin {
  const rule = root.spec.http[index];
  return (rule && origins.get(rule)) ?? { owner: root, index };
}

/** The roots with their delegates' rules put in place, in the order given; delegates themselves are left out. */
export function resolveDelegates(virtualServices: readonly VirtualService[]): {
  readonly roots: readonly VirtualService[];
  readonly violations: readonly Violation[];
} {
  const delegates = new Map<string, VirtualService>();
  for (const candidate of virtualServices) {
    if (candidate.spec.hosts.length === 0)
      delegates.set(`${candidate.meta.namespace}/${candidate.meta.name}`, candidate);
  }
  const violations: Violation[] = [];
  const roots = virtualServices
    .filter((candidate) => candidate.spec.hosts.length > 0)
    .map((root) => (root.spec.http.some((rule) => rule.delegate) ? resolveRoot(root, delegates, violations) : root));
  return { roots, violations };
}

function resolveRoot(
  root: VirtualService,
  delegates: ReadonlyMap<string, VirtualService>,
  violations: Violation[],
): VirtualService {
  const http = root.spec.http.flatMap((rule, index): readonly HttpRoute[] => {
    if (!rule.delegate) {
      const own = { ...rule };
      origins.set(own, { owner: root, index });
      return [own];
    }
    const namespace = rule.delegate.namespace ?? root.meta.namespace;
    const delegate = delegates.get(`${namespace}/${rule.delegate.name}`);
    if (!delegate || !isExported(delegate.spec.exportTo, namespace, root.meta.namespace)) {
      const message = `VirtualService ${namespace}/${rule.delegate.name} does not exist, has hosts of its own, or is not exported to ${root.meta.namespace}; until it is there, the rule matches nothing.`;
      violations.push(violationAt(root, "unknown-route", "warning", ["spec", "http", index, "delegate"], message));
      return [];
    }
    return delegate.spec.http.flatMap((inner, at) => {
      const merged = mergeRule(rule, withFullHosts(inner, namespace));
      if (merged) origins.set(merged, { owner: delegate, index: at });
      return merged ?? [];
    });
  });
  return Object.freeze({ ...root, spec: Object.freeze({ ...root.spec, http }) });
}

/** Short names in a delegate are of its own namespace. */
function withFullHosts(rule: HttpRoute, namespace: string): HttpRoute {
  const full = <T extends { readonly destination: Destination }>(to: T): T => ({
    ...to,
    destination: { ...to.destination, host: fullHostname(to.destination.host, namespace) },
  });
  return { ...rule, route: rule.route.map(full), mirrors: rule.mirrors.map(full) };
}

/**
 * The delegate's rule under the root's conditions, or nothing when the two exclude each other. What the delegate's rule
 * leaves open, its timeout for one, is as the root says; names are joined, as in Istio.
 */
function mergeRule(root: HttpRoute, inner: HttpRoute): HttpRoute | undefined {
  const match =
    root.match.length === 0
      ? inner.match
      : inner.match.length === 0
        ? root.match
        : root.match.flatMap((outer) => inner.match.flatMap((own) => mergeMatch(outer, own) ?? []));
  if (match.length === 0 && (root.match.length > 0 || inner.match.length > 0)) return undefined;
  const { delegate: _, name: __, ...settings } = root;
  const mirrors = inner.mirrors.length > 0 ? inner.mirrors : root.mirrors;
  return { ...settings, ...inner, ...joinedName(root, inner), match, mirrors };
}

function joinedName(outer: { readonly name?: string }, inner: { readonly name?: string }): { name?: string } {
  const name = [outer.name, inner.name].filter(Boolean).join("-");
  return name === "" ? {} : { name };
}

/** Both conditions at once; where both say something of the same field, only equal or narrower inner conditions fit. */
function mergeMatch(outer: HttpMatch, inner: HttpMatch): HttpMatch | undefined {
  const uri = mergeString(outer.uri, inner.uri);
  const scheme = mergeString(outer.scheme, inner.scheme);
  const method = mergeString(outer.method, inner.method);
  const authority = mergeString(outer.authority, inner.authority);
  if (uri === null || scheme === null || method === null || authority === null) return undefined;
  const headers = mergeStrings(outer.headers, inner.headers);
  const queryParams = mergeStrings(outer.queryParams, inner.queryParams);
  const withoutHeaders = mergeStrings(outer.withoutHeaders, inner.withoutHeaders);
  if (!headers || !queryParams || !withoutHeaders) return undefined;
  if (outer.port !== undefined && inner.port !== undefined && outer.port !== inner.port) return undefined;
  const port = inner.port ?? outer.port;
  const sourceNamespace = inner.sourceNamespace ?? outer.sourceNamespace;
  if (outer.sourceNamespace !== undefined && sourceNamespace !== outer.sourceNamespace) return undefined;
  const sourceLabels = { ...outer.sourceLabels, ...inner.sourceLabels };
  if (Object.entries(outer.sourceLabels).some(([label, value]) => sourceLabels[label] !== value)) return undefined;
  if (outer.gateways.length > 0 && !inner.gateways.every((gateway) => outer.gateways.includes(gateway)))
    return undefined;
  const statPrefix = inner.statPrefix ?? outer.statPrefix;
  return {
    ...joinedName(outer, inner),
    ...(uri ? { uri } : {}),
    ...(scheme ? { scheme } : {}),
    ...(method ? { method } : {}),
    ...(authority ? { authority } : {}),
    ...(port === undefined ? {} : { port }),
    ...(sourceNamespace === undefined ? {} : { sourceNamespace }),
    ignoreUriCase: outer.ignoreUriCase || inner.ignoreUriCase,
    headers,
    withoutHeaders,
    queryParams,
    sourceLabels,
    gateways: inner.gateways.length > 0 ? inner.gateways : outer.gateways,
    ...(statPrefix === undefined ? {} : { statPrefix }),
  };
}

/** The narrower condition; null when they exclude each other or cannot be joined. */
function mergeString(outer: StringMatch | undefined, inner: StringMatch | undefined): StringMatch | undefined | null {
  if (!outer || !inner) return inner ?? outer;
  if (outer.type === "present") return inner;
  if (inner.type === "present") return outer;
  if (outer.type === "prefix" && inner.type !== "regex") return inner.value.startsWith(outer.value) ? inner : null;
  return outer.type === inner.type && outer.value === inner.value ? inner : null;
}

function mergeStrings(
  outer: ReadonlyMap<string, StringMatch>,
  inner: ReadonlyMap<string, StringMatch>,
): ReadonlyMap<string, StringMatch> | undefined {
  const merged = new Map(outer);
  for (const [name, own] of inner) {
    const both = mergeString(outer.get(name), own);
    if (!both) return undefined;
    merged.set(name, both);
  }
  return merged;
}
