// DestinationRules by host: which ones govern a client's traffic to a service, and what they add up to.
import type { DestinationRule, Subset, TrafficPolicy } from "../resources/destination-rule.js";
import { compareSpecificity, fullHostname, hostCovers, isWildcard } from "./hostname.js";
import { isExported } from "./visibility.js";
import { push, selects } from "./workloads.js";

/** What the rules for one host say together. Frozen, and the same object for the same rules. */
export interface DestinationPolicy {
  /** Oldest first. */
  readonly rules: readonly DestinationRule[];
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets: ReadonlyMap<string, Subset>;
}

export interface DestinationRuleIndex {
  /** Oldest first. */
  readonly all: readonly DestinationRule[];
  /**
   * Istio's order: the client's namespace, the service's, the root namespace; in each an exact host before a wildcard.
   * Rules of one namespace and host are merged, the oldest's traffic policy and subsets winning.
   */
  readonly find: (client: Client, hostname: string, serviceNamespace: string) => DestinationPolicy | undefined;
}

export interface Client {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** One namespace's rules: by exact host, and the wildcards from the most specific. */
interface NamespaceRules {
  readonly exact: Map<string, DestinationRule[]>;
  readonly wildcards: Map<string, DestinationRule[]>;
  sortedWildcards: readonly string[];
}

/** The rules must come oldest first. */
export function indexDestinationRules(rules: readonly DestinationRule[], rootNamespace: string): DestinationRuleIndex {
  const byNamespace = new Map<string, NamespaceRules>();
  for (const rule of rules) {
    const host = fullHostname(rule.spec.host, rule.meta.namespace);
    let own = byNamespace.get(rule.meta.namespace);
    if (!own) {
      own = { exact: new Map(), wildcards: new Map(), sortedWildcards: [] };
      byNamespace.set(rule.meta.namespace, own);
    }
    push(isWildcard(host) ? own.wildcards : own.exact, host, rule);
  }
  for (const own of byNamespace.values()) own.sortedWildcards = [...own.wildcards.keys()].sort(compareSpecificity);
  function findIn(namespace: string, client: Client, hostname: string): DestinationPolicy | undefined {
    const own = byNamespace.get(namespace);
    if (!own) return undefined;
    const wildcards = own.sortedWildcards.filter((host) => hostCovers(host, hostname));
    for (const host of own.exact.has(hostname) ? [hostname, ...wildcards] : wildcards) {
      const candidates = own.exact.get(host) ?? own.wildcards.get(host) ?? [];
      const [first, ...others] = candidates.filter((rule) => appliesTo(rule, client));
      if (first) return mergedPolicy([first, ...others]);
    }
    return undefined;
  }

  return {
    all: rules,
    find: (client, hostname, serviceNamespace) =>
      findIn(client.namespace, client, hostname) ??
      (serviceNamespace === client.namespace ? undefined : findIn(serviceNamespace, client, hostname)) ??
      (rootNamespace === client.namespace || rootNamespace === serviceNamespace
        ? undefined
        : findIn(rootNamespace, client, hostname)),
  };
}

/** Whether a rule is exported to a client, or selects it. */
export function appliesTo(rule: DestinationRule, client: Client): boolean {
  const { workloadSelector, exportTo } = rule.spec;
  if (workloadSelector && Object.keys(workloadSelector).length > 0) {
    return rule.meta.namespace === client.namespace && selects(workloadSelector, client.labels);
  }
  return isExported(exportTo, rule.meta.namespace, client.namespace);
}

/** By their first rule, the policies that were made of rules. */
const made = new WeakMap<DestinationRule, DestinationPolicy[]>();

function mergedPolicy(applying: readonly [DestinationRule, ...DestinationRule[]]): DestinationPolicy {
  const known = made.get(applying[0]) ?? [];
  const isSame = ({ rules }: DestinationPolicy) =>
    rules.length === applying.length && applying.every((rule) => rules.includes(rule));
  const same = known.find(isSame);
  if (same) return same;
  const policy = mergeRules(applying);
  // Few sets of rules share a first one; where they are many, the oldest are forgotten.
  made.set(applying[0], [policy, ...known.slice(0, MAX_POLICIES_OF_A_RULE - 1)]);
  return policy;
}

const MAX_POLICIES_OF_A_RULE = 16;

/** A rule with a workload selector is the more specific one, so it comes first; among equals the oldest wins. */
function mergeRules(applying: readonly DestinationRule[]): DestinationPolicy {
  const ordered = [
    ...applying.filter((rule) => rule.spec.workloadSelector),
    ...applying.filter((rule) => !rule.spec.workloadSelector),
  ];
  const subsets = new Map<string, Subset>();
  for (const rule of ordered) {
    for (const subset of rule.spec.subsets) if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  }
  const trafficPolicy = ordered.find((rule) => rule.spec.trafficPolicy)?.spec.trafficPolicy;
  return Object.freeze({ rules: ordered, subsets, ...(trafficPolicy ? { trafficPolicy } : {}) });
}
