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

/** Where proxies that a rollout selects stand in its order. */
export interface Ranking {
  readonly count: number;
  /** Ascending: of all, or of the first ones where there are too many to tell. */
  readonly lowest: readonly number[];
}

export function rankingOf(plan: RolloutPlan, proxies: readonly Candidate[]): Ranking {
  const positions = proxies
    .filter((proxy) => isSelected(plan, proxy))
    .map((proxy) => positionOf(plan.id, proxy.id))
    .sort((a, b) => a - b);
  return { count: positions.length, lowest: positions };
}

/**
 * The bound that gives `share` of the ranked proxies the version, rounded up; that of later ones is as it falls. Where the
 * rankings do not reach so far there are many proxies, and the share itself does.
 */
export function boundOf(share: number, rankings: readonly Ranking[]): number {
  if (share >= 1) return 1;
  const count = rankings.reduce((sum, ranking) => sum + ranking.count, 0);
  const wanted = Math.ceil(count * share);
  const isKnown = rankings.every(({ count: of, lowest }) => lowest.length >= Math.min(of, wanted));
  const last = rankings.flatMap(({ lowest }) => lowest).sort((a, b) => a - b)[wanted - 1];
  return isKnown && last !== undefined ? last + 2 ** -48 : share;
}

/**
 * The bound in place of one that was set while no proxy was known and that reaches none of those that have come since;
 * undefined where the bound stands.
 */
export function boundOnceKnown({ plan, state }: Rollout, rankings: readonly Ranking[]): number | undefined {
  const share = state && plan.steps[state.step];
  if (share === undefined || state?.reached !== share) return undefined;
  if (rankings.some(({ lowest: [first = 1] }) => first < share)) return undefined;
  const bound = boundOf(share, rankings);
  return bound > share ? bound : undefined;
}
