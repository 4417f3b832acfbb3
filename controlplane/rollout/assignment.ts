// Which version of a filter a proxy should have: decided by the rollouts and the proxy's name alone, so it is sticky and
// the same after a restart.
import { createHash } from "node:crypto";
import type { Proxy } from "../proxy/proxy.js";
import { counts, type Rollout, type RolloutPlan } from "./plan.js";

/** A proxy as far as rollouts look at it. */
export type Candidate = Pick<Proxy, "id" | "labels">;

/** Where a proxy stands in a rollout's order: in [0, 1), another for each rollout, so that no proxy is always first. */
export function positionOf(rolloutId: string, proxyId: string): number {
  return createHash("sha256").update(`${rolloutId}\0${proxyId}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

export function isSelected({ selector }: RolloutPlan, { labels }: Candidate): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

/** Whether the rollout, as far as it has come, gives the proxy its version. */
export function hasReached({ plan, state }: Rollout, proxy: Candidate): boolean {
  if (!state || state.phase === "rolled-back" || !isSelected(plan, proxy)) return false;
  return state.phase === "completed" || positionOf(plan.id, proxy.id) < state.reached;
}

/** The version by the newest rollout that has reached the proxy; undefined where none has. rollouts: oldest first. */
export function assignedVersion(rollouts: readonly Rollout[], filter: string, proxy: Candidate): string | undefined {
  return rollouts.findLast((rollout) => rollout.plan.filter === filter && counts(rollout) && hasReached(rollout, proxy))
    ?.plan.version;
}

/** The bound that gives `share` of the known proxies the version, rounded up; that of later ones is as it falls. */
export function boundOf(plan: RolloutPlan, share: number, proxies: readonly Candidate[]): number {
  const positions = proxies
    .filter((proxy) => isSelected(plan, proxy))
    .map((proxy) => positionOf(plan.id, proxy.id))
    .sort((a, b) => a - b);
  if (share >= 1) return 1;
  const last = positions[Math.ceil(positions.length * share) - 1];
  return last === undefined ? share : last + 2 ** -48;
}

/**
 * The bound in place of one that was set while no proxy was known and that reaches none of those that have come since;
 * undefined where the bound stands.
 */
export function boundOnceKnown(rollout: Rollout, proxies: readonly Candidate[]): number | undefined {
  const { plan, state } = rollout;
  const share = state && plan.steps[state.step];
  if (share === undefined || state?.reached !== share || proxies.some((proxy) => hasReached(rollout, proxy))) return;
  const bound = boundOf(plan, share, proxies);
  return bound > share ? bound : undefined;
}
