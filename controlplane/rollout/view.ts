// What the admin and the commands tell of rollouts, as plain JSON.
import { BUILT_IN } from "../registry/registry.js";
import type { Candidate } from "./assignment.js";
import type { Rollout } from "./plan.js";
import type { RolloutRunner } from "./runner.js";

export interface FilterView {
  readonly filter: string;
  /** The newest first. */
  readonly rollouts: readonly Rollout[];
  readonly proxies: readonly {
    readonly id: string;
    /** What it should have, and what it was last seen to have taken; "built-in" for the version that comes along. */
    readonly assigned: string;
    readonly running: string;
  }[];
}

const MOST_ROLLOUTS = 100;

export function filterView(filter: string, runner: RolloutRunner, proxies: Iterable<Candidate>): FilterView {
  return {
    filter,
    rollouts: runner.rollouts.toReversed().slice(0, MOST_ROLLOUTS),
    proxies: [...proxies]
      .map((proxy) => ({
        id: proxy.id,
        assigned: runner.versionFor(proxy) ?? BUILT_IN,
        running: runner.runningOn(proxy.id) ?? BUILT_IN,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}
