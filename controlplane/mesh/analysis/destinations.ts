// Destinations that lead nowhere: hosts, ports and subsets that no object defines.
import type { FieldPath } from "../../resources/resource.js";
import type { Violation, ViolationCode } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { Destination, HttpRoute, VirtualService } from "../../resources/virtual-service.js";
import { ruleOrigin } from "../delegates.js";
import { fullHostname } from "../hostname.js";
import type { Mesh } from "../mesh.js";
import type { Scope } from "../scope.js";
import type { MeshService } from "../service.js";

/** Where a destination is written; a delegate's is not in the VirtualService that it is put into. */
type Located = readonly [owner: VirtualService, path: FieldPath, destination: Destination];

/** The destinations of all rules of a VirtualService, as its own namespace sees them. */
export function destinationFaults(mesh: Mesh, virtualService: VirtualService, scope: Scope): Violation[] {
  const found: Located[] = [];
  const { http, tls, tcp } = virtualService.spec;
  for (const [at, rule] of http.entries()) {
    const { owner, index } = ruleOrigin(virtualService, at);
    for (const [j, route] of rule.route.entries()) {
      found.push([owner, ["spec", "http", index, "route", j, "destination"], route.destination]);
    }
    for (const [j, mirror] of rule.mirrors.entries()) {
      found.push([owner, mirrorPath(rule, index, j), mirror.destination]);
    }
  }
  for (const [section, rules] of [
    ["tls", tls],
    ["tcp", tcp],
  ] as const) {
    for (const [i, rule] of rules.entries()) {
      for (const [j, route] of rule.route.entries()) {
        found.push([virtualService, ["spec", section, i, "route", j, "destination"], route.destination]);
      }
    }
  }
  const { namespace } = virtualService.meta;
  return found.flatMap((located) => destinationFault(mesh, located, namespace, scope) ?? []);
}

function mirrorPath(rule: HttpRoute, index: number, mirror: number): FieldPath {
  const base = ["spec", "http", index];
  return rule.mirrors.length === 1 ? [...base, "mirror"] : [...base, "mirrors", mirror, "destination"];
}

function destinationFault(
  mesh: Mesh,
  [owner, path, destination]: Located,
  namespace: string,
  scope: Scope,
): Violation | undefined {
  const fault = (code: ViolationCode, field: string, message: string) =>
    violationAt(owner, code, "warning", [...path, field], `${message} Its share of the traffic gets 503 until then.`);
  const service = scope.resolve(destination.host, namespace);
  if (!service) {
    const full = fullHostname(destination.host, namespace);
    return fault(
      "unknown-host",
      "host",
      `No service ${full} is visible from ${namespace}: define it, or correct the host.`,
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
  const client = { namespace, labels: {} };
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
