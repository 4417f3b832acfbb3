// Locality load balancing: which endpoints a proxy prefers, and how traffic is shared among localities.
import type { Endpoint } from "../mesh/service.js";
import { push } from "../mesh/workloads.js";
import type { Proxy } from "../proxy/proxy.js";
import type { LocalityLbSetting, PolicySettings } from "../resources/destination-rule.js";

/** Endpoints of one locality that are preferred alike. */
export interface LocalityGroup {
  /** region/zone/subzone */
  readonly locality: string;
  /** 0 is used first; the next when too few of those before are healthy. Numbers have no gaps. */
  readonly priority: number;
  readonly weight: number;
  readonly endpoints: readonly Endpoint[];
}

/** Whether weights of localities count; Envoy then shares traffic by them. */
export function weighsLocalities(settings: PolicySettings): boolean {
  const setting = settings.loadBalancer?.localityLbSetting;
  return setting?.enabled !== false && (setting?.distribute.length ?? 0) > 0;
}

/**
 * Groups endpoints by locality, in order of priority and name. Priorities differ only where failover applies: with
 * outlier detection, which it needs to notice that endpoints fail, and unless the policy switches it off or distributes
 * by weight.
 */
export function groupByLocality(
  endpoints: readonly Endpoint[],
  settings: PolicySettings,
  proxy: Proxy,
): LocalityGroup[] {
  const setting = settings.loadBalancer?.localityLbSetting;
  const own = `${proxy.locality.region}/${proxy.locality.zone}/${proxy.locality.subZone}`;
  if (setting && weighsLocalities(settings)) {
    const shares = setting.distribute.find(({ from }) => localityMatches(from, own));
    if (shares) return distribute(endpoints, shares.to);
  }
  const failsOver =
    settings.outlierDetection !== undefined && setting?.enabled !== false && (own !== "//" || setting !== undefined);
  const distance = failsOver ? distanceFrom(own, proxy.labels, setting) : () => 0;
  const byGroup = new Map<string, { locality: string; distance: number; endpoints: Endpoint[] }>();
  for (const endpoint of endpoints) {
    const away = distance(endpoint);
    const key = `${String(away).padStart(6, "0")} ${endpoint.locality}`;
    const group = byGroup.get(key) ?? { locality: endpoint.locality, distance: away, endpoints: [] };
    group.endpoints.push(endpoint);
    byGroup.set(key, group);
  }
  const groups = [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
  const distances = [...new Set(groups.map((group) => group.distance))];
  return groups.map((group) => ({
    locality: group.locality,
    priority: distances.indexOf(group.distance),
    weight: totalWeight(group.endpoints),
    endpoints: group.endpoints,
  }));
}

function totalWeight(endpoints: readonly Endpoint[]): number {
  return endpoints.reduce((sum, endpoint) => sum + Math.max(1, endpoint.weight), 0);
}

/** "*" or a missing part stands for any; "us/zone1/*" and "us/zone1" are the same. */
function localityMatches(pattern: string, locality: string): boolean {
  const parts = locality.split("/");
  return pattern.split("/").every((part, index) => part === "*" || part === (parts[index] ?? ""));
}

/** Each pattern's share, spread over its localities by their weights; endpoints that no pattern names get nothing. */
function distribute(endpoints: readonly Endpoint[], to: ReadonlyMap<string, number>): LocalityGroup[] {
  const byLocality = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) push(byLocality, endpoint.locality, endpoint);
  const groups: LocalityGroup[] = [];
  for (const [pattern, share] of to) {
    const matching = [...byLocality].filter(([locality]) => localityMatches(pattern, locality));
    const total = matching.reduce((sum, [, own]) => sum + totalWeight(own), 0);
    for (const [locality, own] of matching) {
      byLocality.delete(locality);
      const weight = Math.max(1, Math.round((share * SHARE_SCALE * totalWeight(own)) / total));
      if (share > 0) groups.push({ locality, priority: 0, weight, endpoints: own });
    }
  }
  return groups.sort((a, b) => (a.locality < b.locality ? -1 : 1));
}

/** Shares are percentages; weights are whole numbers, so a share can be spread finely. */
const SHARE_SCALE = 1_000;

const TOPOLOGY_LABELS: readonly string[] = [
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.istio.io/subzone",
];

/** How far an endpoint is: by the labels of failoverPriority, else by region, zone and subzone. */
function distanceFrom(
  own: string,
  labels: Readonly<Record<string, string>>,
  setting: LocalityLbSetting | undefined,
): (endpoint: Endpoint) => number {
  if (setting && setting.failoverPriority.length > 0) {
    const priorities = setting.failoverPriority;
    return (endpoint) => priorities.length - sharedLabels(priorities, own, labels, endpoint);
  }
  const ownParts = own.split("/");
  const target = setting?.failover.find(({ from }) => from === ownParts[0])?.to;
  return (endpoint) => {
    const parts = endpoint.locality.split("/");
    const shared = ownParts.findIndex((part, index) => part !== (parts[index] ?? ""));
    const levels = shared < 0 ? ownParts.length : shared;
    if (levels > 0) return ownParts.length - levels;
    // Another region: the one to fail over to first, if the policy names one.
    return ownParts.length + (target === undefined || parts[0] === target ? 0 : 1);
  };
}

/** How many of the labels, in order and without a break, the proxy and the endpoint have in common. */
function sharedLabels(
  priorities: readonly string[],
  own: string,
  labels: Readonly<Record<string, string>>,
  endpoint: Endpoint,
): number {
  const differing = priorities.findIndex((entry) => {
    const [name = "", fixed] = entry.split("=", 2);
    const expected = fixed ?? labelOf(name, labels, own);
    return expected === undefined || labelOf(name, endpoint.labels, endpoint.locality) !== expected;
  });
  return differing < 0 ? priorities.length : differing;
}

/** Topology labels stand for the parts of the locality where they are not set themselves. */
function labelOf(name: string, labels: Readonly<Record<string, string>>, locality: string): string | undefined {
  const level = TOPOLOGY_LABELS.indexOf(name);
  return labels[name] ?? (level < 0 ? undefined : locality.split("/")[level] || undefined);
}
