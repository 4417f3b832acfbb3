// Rollouts as they are kept: plans and wishes by commands, states by the one control plane that moves them.
import { counts, type Rollout, type RolloutPlan, type RolloutState } from "./plan.js";

/** How many rollouts the history has at least, where there were as many. */
export const KEPT = 200;

/** Every method rejects when the store cannot be reached. */
export interface RolloutStore {
  /** Adds a rollout behind all others; the control plane begins it when those have ended. */
  create(plan: Omit<RolloutPlan, "id">): Promise<RolloutPlan>;
  /** All rollouts, the oldest first. */
  list(): Promise<readonly Rollout[]>;
  /** Rejects, too, when another has written a state since this store last listed the rollout. */
  saveState(id: string, state: RolloutState): Promise<void>;
  requestRollback(id: string, by: string): Promise<void>;
  /** For the control plane alone: deletes what forgettable() names, where commands do not. */
  prune(): Promise<void>;
}

/**
 * Rollouts of a filter whose versions proxies have, may get, or go back to when the newest one is undone: from the last but
 * one on that went to all proxies. Those before decide nothing, and are not gone back to.
 */
export function rolloutsInUse(rollouts: readonly Rollout[], filter: string): Rollout[] {
  const of = rollouts.filter((rollout) => rollout.plan.filter === filter && counts(rollout));
  const isWhole = ({ plan, state }: Rollout) => state?.phase === "completed" && Object.keys(plan.selector).length === 0;
  const whole = of.filter(isWhole);
  const from = whole.at(-2) ? of.indexOf(whole.at(-2) as Rollout) : 0;
  return of.slice(from);
}

/** The ids of ended rollouts that decide nothing any more, the newest `kept` of all aside. */
export function forgettable(rollouts: readonly Rollout[], kept: number): string[] {
  const filters = new Set(rollouts.map(({ plan }) => plan.filter));
  const needed = new Set([...filters].flatMap((filter) => rolloutsInUse(rollouts, filter)));
  const old = rollouts.slice(0, Math.max(rollouts.length - kept, 0));
  return old.filter((rollout) => rollout.state && !needed.has(rollout)).map(({ plan }) => plan.id);
}
