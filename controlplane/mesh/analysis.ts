// Faults between objects: references that lead nowhere, and objects that contradict each other. Each is shown, none
// stops the rest from being served.
import type { DestinationRule } from "../resources/destination-rule.js";
import type { Gateway } from "../resources/gateway.js";
import type { FieldPath } from "../resources/resource.js";
import type { Sidecar } from "../resources/sidecar.js";
import type { Violation, ViolationCode } from "../resources/violation.js";
import { violationAt } from "../resources/violation-at.js";
import type { Destination, HttpRoute, VirtualService } from "../resources/virtual-service.js";
import { fullHostname } from "./hostname.js";
import type { Mesh } from "./mesh.js";
import { namespaceScope, type Scope } from "./scope.js";
import type { MeshService } from "./service.js";
import { selects } from "./workloads.js";

/** In a fixed order for equal input. */
export function analyze(mesh: Mesh): Violation[] {
  const scopes = new Map<string, Scope>();
  const scopeOf = (namespace: string): Scope => {
    const scope = scopes.get(namespace) ?? namespaceScope(mesh, namespace);
    scopes.set(namespace, scope);
    return scope;
  };
  return [
    ...mesh.virtualServices.flatMap((virtualService) => [
      ...destinationFaults(mesh, virtualService, scopeOf(virtualService.meta.namespace)),
      ...gatewayFaults(mesh, virtualService),
      ...unreachableRules(virtualService),
    ]),
    ...virtualServiceConflicts(mesh),
    ...destinationRuleFaults(mesh.destinationRules.all, scopeOf),
    ...[...mesh.gateways.values()].flatMap((gateway) => secretFaults(mesh, gateway)),
    ...[...mesh.sidecars.values()].flatMap(sidecarConflicts),
  ];
}

type Located = readonly [path: FieldPath, destination: Destination];

function destinationFaults(mesh: Mesh, virtualService: VirtualService, scope: Scope): Violation[] {
  const found: Located[] = [];
  const { http, tls, tcp } = virtualService.spec;
  for (const [i, rule] of http.entries()) {
    for (const [j, route] of rule.route.entries()) {
      found.push([["spec", "http", i, "route", j, "destination"], route.destination]);
    }
    for (const [j, mirror] of rule.mirrors.entries()) found.push([mirrorPath(rule, i, j), mirror.destination]);
  }
  for (const [section, rules] of [
    ["tls", tls],
    ["tcp", tcp],
  ] as const) {
    for (const [i, rule] of rules.entries()) {
      for (const [j, route] of rule.route.entries()) {
        found.push([["spec", section, i, "route", j, "destination"], route.destination]);
      }
    }
  }
  return found.flatMap(([path, destination]) => destinationFault(mesh, virtualService, scope, path, destination) ?? []);
}

function mirrorPath(rule: HttpRoute, index: number, mirror: number): FieldPath {
  const base = ["spec", "http", index];
  return rule.mirrors.length === 1 ? [...base, "mirror"] : [...base, "mirrors", mirror, "destination"];
}

function destinationFault(
  mesh: Mesh,
  owner: VirtualService,
  scope: Scope,
  path: FieldPath,
  destination: Destination,
): Violation | undefined {
  const fault = (code: ViolationCode, field: string, message: string) =>
    violationAt(owner, code, "warning", [...path, field], `${message} Its share of the traffic gets 503 until then.`);
  const service = scope.resolve(destination.host, owner.meta.namespace);
  if (!service) {
    const full = fullHostname(destination.host, owner.meta.namespace);
    return fault(
      "unknown-host",
      "host",
      `No service ${full} is visible from ${owner.meta.namespace}: define it, or correct the host.`,
    );
  }
  if (destination.port !== undefined && !service.ports.some((port) => port.number === destination.port)) {
    return fault(
      "unknown-port",
      "port",
      `${service.hostname} has the ports ${portList(service)}, not ${destination.port}: name one of them.`,
    );
  }
  if (destination.subset === undefined) return undefined;
  const client = { namespace: owner.meta.namespace, labels: {} };
  const policy = mesh.destinationRules.find(client, service.hostname, service.namespace);
  if (policy?.subsets.has(destination.subset)) return undefined;
  return fault(
    "unknown-subset",
    "subset",
    `No DestinationRule for ${service.hostname} defines subset ${destination.subset}: add it there, or correct the name.`,
  );
}

function portList(service: MeshService): string {
  return service.ports.map((port) => port.number).join(", ");
}

function gatewayFaults(mesh: Mesh, virtualService: VirtualService): Violation[] {
  return virtualService.spec.gateways.flatMap((name, index) => {
    const full = gatewayKey(name, virtualService.meta.namespace);
    if (name === "mesh" || mesh.gateways.has(full)) return [];
    const message = `Gateway ${full} does not exist: create it, or correct the name; until then the rules do not apply there.`;
    return [violationAt(virtualService, "unknown-gateway", "warning", ["spec", "gateways", index], message)];
  });
}

/** A gateway's name as a VirtualService writes it -> namespace/name. */
export function gatewayKey(name: string, namespace: string): string {
  return name.includes("/") ? name : `${namespace}/${name}`;
}

function unreachableRules(virtualService: VirtualService): Violation[] {
  const first = virtualService.spec.http.findIndex((rule) => rule.match.length === 0);
  if (first < 0) return [];
  return virtualService.spec.http.slice(first + 1).map((_, offset) => {
    const index = first + 1 + offset;
    const message = `http[${first}] matches every request, so this rule is never reached: move it before that one, or remove it.`;
    return violationAt(virtualService, "unreachable-rule", "warning", ["spec", "http", index], message);
  });
}

/** On sidecars one VirtualService configures a host: the oldest. (Gateways merge them.) */
function virtualServiceConflicts(mesh: Mesh): Violation[] {
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

function destinationRuleFaults(rules: readonly DestinationRule[], scopeOf: (namespace: string) => Scope): Violation[] {
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
    if (!full.startsWith("*") && !scopeOf(namespace).resolve(rule.spec.host, namespace)) {
      const message = `No service ${full} is visible from ${namespace}: the rule has no effect until there is one, or the host is corrected.`;
      faults.push(violationAt(rule, "unknown-host", "warning", ["spec", "host"], message));
    }
    return faults;
  });
}

function secretFaults(mesh: Mesh, gateway: Gateway): Violation[] {
  return gateway.spec.servers.flatMap((server, index) => {
    const name = server.tls?.credentialName;
    if (!name || mesh.secrets.has(`${gateway.meta.namespace}/${name}`)) return [];
    const namespaces = [...mesh.workloads.pods.values()]
      .filter((pod) => selects(gateway.spec.selector, pod.meta.labels))
      .map((pod) => pod.meta.namespace);
    if (namespaces.some((namespace) => mesh.secrets.has(`${namespace}/${name}`))) return [];
    const message = `Secret ${name} is not in the namespace of the gateway's proxies: create it there; until then this server does not accept connections.`;
    const path = ["spec", "servers", index, "tls", "credentialName"];
    return [violationAt(gateway, "unknown-secret", "warning", path, message)];
  });
}

function sidecarConflicts(sidecars: readonly Sidecar[]): Violation[] {
  const general = sidecars.filter((sidecar) => sidecar.spec.workloadSelector === undefined);
  return general.slice(1).map((sidecar) => {
    const message = `Sidecar ${general[0]?.meta.name} is older and already applies to every workload of ${sidecar.meta.namespace}: give this one a workloadSelector, or remove it.`;
    return violationAt(sidecar, "conflicting-sidecar", "warning", ["spec"], message);
  });
}
