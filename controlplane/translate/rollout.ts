// A StagedRollout -> how the filter chooses among a rule's destinations.
import { destinationLabel, rolloutKey, strayDestinations } from "../mesh/rollouts.js";
import type { PolicyRollout } from "../policy/rule.js";
import type { StagedRolloutSpec } from "../resources/staged-rollout.js";
import type { HttpRoute, VirtualService } from "../resources/virtual-service.js";
import type { Context } from "./context.js";

/** Undefined where none refines the rule, or where it names destinations that the rule does not have. */
export function ruleRollout(rule: HttpRoute, owner: VirtualService, context: Context): PolicyRollout | undefined {
  if (rule.name === undefined || rule.route.length === 0) return undefined;
  const key = rolloutKey(owner.meta.namespace, { virtualService: owner.meta.name, route: rule.name });
  const rollout = context.mesh.rollouts.get(key);
  if (!rollout || strayDestinations(rollout, rule).length > 0) return undefined;
  return policyRollout(rollout.spec, rule.route.map(destinationLabel), key);
}

function policyRollout(spec: StagedRolloutSpec, labels: readonly string[], key: string): PolicyRollout {
  const { sticky, ramp, override } = spec;
  return {
    ...(sticky ? { sticky: { key: sticky.key, salt: sticky.salt ?? key } } : {}),
    ...(ramp.length > 0
      ? { ramp: ramp.map(({ at, weights }) => ({ at, weights: labels.map((label) => weights.get(label) ?? 0) })) }
      : {}),
    ...(override
      ? {
          override: {
            header: override.header,
            values: new Map([...override.values].map(([value, label]) => [value, labels.indexOf(label)])),
          },
        }
      : {}),
  };
}
