// Faults between objects: references that lead nowhere, and objects that contradict each other. Each is shown, none
// stops the rest from being served.

import type { Violation } from "../../resources/violation.js";
import type { VirtualService } from "../../resources/virtual-service.js";
import type { Mesh } from "../mesh.js";
import { namespaceScope, type Scope } from "../scope.js";
import { destinationRuleFaults, sidecarConflicts, virtualServiceConflicts } from "./conflicts.js";
import { destinationFaults } from "./destinations.js";
import { extensionFaults } from "./extensions.js";
import { portConflicts } from "./gateways.js";
import { gatewayFaults, hostsWithoutServer, oddWeights, rulesWithoutHttp } from "./rules.js";
import { destinationRuleSecretFaults, gatewaySecretFaults } from "./secrets.js";
import { hiddenRules } from "./sidecars.js";
import { unreachableRules } from "./unreachable.js";

/** In a fixed order for equal input. */
export function analyze(mesh: Mesh): Violation[] {
  const scopeOf = scopesOf(mesh);
  const gateways = [...mesh.gateways.values()];
  return [
    ...mesh.virtualServices.flatMap((virtualService) => ruleFaults(mesh, virtualService, scopeOf)),
    ...virtualServiceConflicts(mesh),
    ...hiddenRules(mesh),
    ...destinationRuleFaults(mesh.destinationRules.all, scopeOf),
    ...mesh.destinationRules.all.flatMap((rule) => destinationRuleSecretFaults(mesh, rule)),
    ...gateways.flatMap((gateway) => gatewaySecretFaults(mesh, gateway)),
    ...portConflicts(gateways),
    ...[...mesh.sidecars.values()].flatMap(sidecarConflicts),
    ...extensionFaults(mesh),
  ];
}

/** Does most of what analyze() has to do for the mesh, which then finds it done, in steps between which others get a turn. */
export function* prepareAnalysis(mesh: Mesh): Generator<void> {
  const scopeOf = scopesOf(mesh);
  for (const virtualService of mesh.virtualServices) {
    ruleFaults(mesh, virtualService, scopeOf);
    yield;
  }
}

function scopesOf(mesh: Mesh): (namespace: string) => Scope {
  const scopes = new Map<string, Scope>();
  return (namespace) => {
    const scope = scopes.get(namespace) ?? namespaceScope(mesh, namespace);
    scopes.set(namespace, scope);
    return scope;
  };
}

interface Found {
  readonly services: unknown;
  readonly destinationRules: unknown;
  readonly gateways: unknown;
  readonly violations: readonly Violation[];
}

/** By VirtualService, what was found in the mesh before; it holds while the rest of that mesh does. */
const found = new WeakMap<VirtualService, Found>();

function ruleFaults(
  mesh: Mesh,
  virtualService: VirtualService,
  scopeOf: (namespace: string) => Scope,
): readonly Violation[] {
  const { services, destinationRules, gateways } = mesh;
  const known = found.get(virtualService);
  const holds = known?.services === services && known.destinationRules === destinationRules;
  if (known && holds && known.gateways === gateways) return known.violations;
  const scope = scopeOf(virtualService.meta.namespace);
  const violations = [
    ...destinationFaults(mesh, virtualService, scope),
    ...rulesWithoutHttp(virtualService, scope),
    ...gatewayFaults(mesh, virtualService),
    ...hostsWithoutServer(mesh, virtualService),
    ...unreachableRules(virtualService),
    ...oddWeights(virtualService),
  ];
  found.set(virtualService, { services, destinationRules, gateways, violations });
  return violations;
}
