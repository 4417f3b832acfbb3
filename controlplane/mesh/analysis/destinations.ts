// Destinations that lead nowhere: hosts, ports and subsets that no object defines.
import type { FieldPath } from "../../resources/resource.js";
import type { Violation, ViolationCode } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { Destination, HttpRoute, VirtualService } from "../../resources/virtual-service.js";
import { fullHostname } from "../hostname.js";
import type { Mesh } from "../mesh.js";
import type { Scope } from "../scope.js";
import type { MeshService } from "../service.js";

type Located = readonly [path: FieldPath, destination: Destination];

/** The destinations of all rules of a VirtualService, as its own namespace sees them. */
export function destinationFaults(mesh: Mesh, virtualService: VirtualService, scope: Scope): Violation[] {
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
