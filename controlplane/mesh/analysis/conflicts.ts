// Objects that configure the same thing: which one counts, told to the other.
import type { DestinationRule } from "../../resources/destination-rule.js";
import type { FieldPath } from "../../resources/resource.js";
import type { Sidecar } from "../../resources/sidecar.js";
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { VirtualService } from "../../resources/virtual-service.js";
import { fullHostname } from "../hostname.js";
import type { Mesh } from "../mesh.js";
import type { Scope } from "../scope.js";
import type { MeshService } from "../service.js";
import { selects } from "../workloads.js";

/** On sidecars one VirtualService configures a host: the oldest. (Gateways merge them.) */
export function virtualServiceConflicts(mesh: Mesh): Violation[] {
  const owners = new Map<string, VirtualService[]>();
  return mesh.virtualServices.flatMap((candidate) => {
    if (!candidate.spec.gateways.includes("mesh")) return [];
    return candidate.spec.hosts.flatMap((host, index) => {
      const full = fullHostname(host, candidate.meta.namespace);
      const others = owners.get(full) ?? [];
      owners.set(full, [...others, candidate]);
      const winner = others.find((other) => seenTogether(other, candidate));
      if (!winner) return [];
      const message = `${full} is already configured by VirtualService ${winner.meta.namespace}/${winner.meta.name}, which is older: this one has no effect on it in sidecars. Merge the two.`;
      return [violationAt(candidate, "conflicting-virtual-service", "warning", ["spec", "hosts", index], message)];
    });
  });
}

function seenTogether(a: VirtualService, b: VirtualService): boolean {
  if (a === b) return false;
  const namespaces = (of: VirtualService) =>
    of.spec.exportTo.length === 0
      ? ["*"]
      : of.spec.exportTo.map((entry) => (entry === "." ? of.meta.namespace : entry));
  const [left, right] = [namespaces(a), namespaces(b)];
  return left.some((entry) => entry !== "~" && (entry === "*" || right.includes("*") || right.includes(entry)));
}

/** Takes the rules oldest first. */
export function destinationRuleFaults(
  rules: readonly DestinationRule[],
  scopeOf: (namespace: string) => Scope,
): Violation[] {
  const policies = new Map<string, DestinationRule>();
  const subsets = new Map<string, DestinationRule>();
  return rules.flatMap((rule) => {
    const { namespace } = rule.meta;
    const full = fullHostname(rule.spec.host, namespace);
    const key = `${namespace} ${full} ${JSON.stringify(rule.spec.workloadSelector ?? {})}`;
    const faults: Violation[] = [];
    const conflict = (other: DestinationRule, path: FieldPath, what: string) => {
      const message = `${what} for ${full} is already set by the older DestinationRule ${other.meta.namespace}/${other.meta.name}, which wins: remove one of the two.`;
      faults.push(violationAt(rule, "conflicting-destination-rule", "warning", path, message));
    };
    if (rule.spec.trafficPolicy) {
      const other = policies.get(key);
      if (other) conflict(other, ["spec", "trafficPolicy"], "trafficPolicy");
      else policies.set(key, rule);
    }
    for (const [index, subset] of rule.spec.subsets.entries()) {
      const other = subsets.get(`${key} ${subset.name}`);
      if (other) conflict(other, ["spec", "subsets", index], `Subset ${subset.name}`);
      else subsets.set(`${key} ${subset.name}`, rule);
    }
    const service = scopeOf(namespace).resolve(rule.spec.host, namespace);
    if (service) faults.push(...emptySubsets(rule, service));
    else if (!full.startsWith("*")) {
      const message = `No service ${full} is visible from ${namespace}: the rule has no effect until there is one, or the host is corrected.`;
      faults.push(violationAt(rule, "unknown-host", "warning", ["spec", "host"], message));
    }
    return faults;
  });
}

/** Subsets that none of a service's endpoints has the labels of. A service without any endpoint says nothing of them. */
function emptySubsets(rule: DestinationRule, service: MeshService): Violation[] {
  const ports = [...service.endpoints.values()].filter((endpoints) => endpoints.length > 0);
  return rule.spec.subsets.flatMap(({ name, labels }, index) => {
    if (ports.length === 0 || ports.some((endpoints) => endpoints.some((own) => selects(labels, own.labels))))
      return [];
    const message = `No endpoint of ${service.hostname} has the labels of subset ${name}: correct them. Its share of the traffic gets 503 until one has.`;
    return [violationAt(rule, "unknown-workload", "warning", ["spec", "subsets", index, "labels"], message)];
  });
}

/** Takes one namespace's, oldest first. */
export function sidecarConflicts(sidecars: readonly Sidecar[]): Violation[] {
  const general = sidecars.filter((sidecar) => sidecar.spec.workloadSelector === undefined);
  return general.slice(1).map((sidecar) => {
    const message = `Sidecar ${general[0]?.meta.name} is older and already applies to every workload of ${sidecar.meta.namespace}: give this one a workloadSelector, or remove it.`;
    return violationAt(sidecar, "conflicting-sidecar", "warning", ["spec"], message);
  });
}
