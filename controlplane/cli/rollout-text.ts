// A rollout as one line for people.
import type { Rollout } from "../rollout/plan.js";

/** For example: 000003 headgate.traffic@2: step 2 of 3 (50%). */
export function rolloutText(rollout: Rollout): string {
  const { plan } = rollout;
  return `${plan.id} ${plan.filter}@${plan.version}: ${progressText(rollout)}`;
}

export function progressText({ plan, state, rollbackBy }: Rollout): string {
  if (state?.phase === "rolled-back") return `rolled back: ${state.reason ?? "no reason known"}`;
  if (rollbackBy !== undefined) return `to be rolled back, asked for by ${rollbackBy}`;
  if (!state) return "waiting for its turn";
  if (state.phase === "completed") return "completed";
  const share = Math.round(100 * (plan.steps[state.step] ?? 1));
  return `step ${state.step + 1} of ${plan.steps.length} (${share}%)`;
}
