// StagedRollouts and the routes they refine: how destinations are called, and faults between the two.
import type { StagedRollout } from "../resources/staged-rollout.js";
import type { Violation } from "../resources/violation.js";
import { violationAt } from "../resources/violation-at.js";
import type { HttpRoute, HttpRouteDestination } from "../resources/virtual-service.js";
import type { Mesh } from "./mesh.js";

/** Names one rule of one VirtualService among all. */
export function rolloutKey(
  namespace: string,
  route: { readonly virtualService: string; readonly route: string },
): string {
  return `${namespace}/${route.virtualService}/${route.route}`;
}

/** What a rollout calls a destination: its subset, or its host as the rule writes it. */
export function destinationLabel({ destination }: HttpRouteDestination): string {
  return destination.subset ?? destination.host;
}

/** The destinations that a rollout names and its rule does not have. A rollout with any of them is not applied. */
export function strayDestinations(rollout: StagedRollout, rule: HttpRoute): string[] {
  const known = new Set(rule.route.map(destinationLabel));
  const { ramp, override } = rollout.spec;
  const named = [...ramp.flatMap((step) => [...step.weights.keys()]), ...(override?.values.values() ?? [])];
  return [...new Set(named)].filter((name) => !known.has(name));
}

/** Takes the rollouts oldest first. */
export function analyzeRollouts(mesh: Mesh, rollouts: readonly StagedRollout[]): Violation[] {
  return rollouts.flatMap((rollout) => {
    const { namespace } = rollout.meta;
    const { virtualService, route } = rollout.spec;
    const winner = mesh.rollouts.get(rolloutKey(namespace, rollout.spec));
    if (winner !== rollout) {
      const message = `StagedRollout ${winner?.meta.name} is older and already refines ${virtualService}'s route ${route}: remove one of the two.`;
      return [violationAt(rollout, "conflicting-rollout", "warning", ["spec", "route"], message)];
    }
    const rule = findRule(mesh, namespace, virtualService, route);
    if (!rule) {
      const message = `VirtualService ${namespace}/${virtualService} has no http rule named ${route}: name the rule, or correct the reference; until then this has no effect.`;
      return [violationAt(rollout, "unknown-route", "warning", ["spec", "route"], message)];
    }
    return strayDestinations(rollout, rule).map((name) => {
      const known = rule.route.map(destinationLabel).join(", ");
      const message = `The route has the destinations ${known}, not ${name}: name one of them; until then the rollout is not applied.`;
      return violationAt(rollout, "unknown-subset", "warning", ["spec"], message);
    });
  });
}

function findRule(mesh: Mesh, namespace: string, virtualService: string, route: string): HttpRoute | undefined {
  const owner = mesh.virtualServices.find(({ meta }) => meta.namespace === namespace && meta.name === virtualService);
  return owner?.spec.http.find((rule) => rule.name === route);
}
