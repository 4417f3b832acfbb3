// The weights of a rule's destinations as an explanation shows them; the filter's own choose.
import type { PolicyRule } from "../policy/rule.js";

/** As Istio's documentation has it, a single destination's weight is 100. */
export const SOLE_WEIGHT = 100;

/** One for each destination at the time, in milliseconds since the epoch: as written, or as far as a ramp has come. */
export function weightsAt({ destinations, rollout }: PolicyRule, now: number): readonly number[] {
  if (destinations.length === 1) return [SOLE_WEIGHT];
  const ramp = rollout?.ramp ?? [];
  const [first] = ramp;
  if (!first) return destinations.map(({ weight }) => weight);
  const before = ramp.findLast(({ at }) => at <= now) ?? first;
  const after = ramp.find(({ at }) => at > now) ?? before;
  const progress = after.at > before.at ? Math.max(0, now - before.at) / (after.at - before.at) : 0;
  return before.weights.map((weight, index) => weight + ((after.weights[index] ?? 0) - weight) * progress);
}
