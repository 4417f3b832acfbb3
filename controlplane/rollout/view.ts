// What the admin and the commands tell of rollouts, as plain JSON.
import { BUILT_IN } from "../registry/registry.js";
import type { Candidate } from "./assignment.js";
import type { Rollout } from "./plan.js";
import type { RolloutRunner } from "./runner.js";
import { sumCounts, type VersionCount } from "./version-counts.js";

export interface ProxyVersions {
  readonly id: string;
  /** What it should have, and what it was last seen to have taken. */
  readonly assigned: string;
  readonly running: string;
}

export interface FilterView {
  /** The filter that every proxy runs, and the versions of it; "built-in" is the one that comes along. */
  readonly filter: string;
  readonly proxies: readonly ProxyVersions[];
  /** Other filters that there were rollouts of, and the proxies that run them; "-" for no version. */
  readonly others: readonly { readonly filter: string; readonly proxies: readonly ProxyVersions[] }[];
  /** Of the proxies of all other control planes on the cluster, as it was some seconds ago. */
  readonly elsewhere: readonly VersionCount[];
  /** The newest first. */
  readonly rollouts: readonly Rollout[];
}

const MOST_ROLLOUTS = 100;
const NO_VERSION = "-";

export function filterView(
  filter: string,
  runner: RolloutRunner,
  proxiesOf: (filter: string) => Iterable<Candidate>,
  elsewhere: readonly VersionCount[],
): FilterView {
  const versions = (of: string, otherwise: string): ProxyVersions[] =>
    [...proxiesOf(of)]
      .map((proxy) => ({
        id: proxy.id,
        assigned: runner.versionFor(of, proxy) ?? otherwise,
        running: runner.runningOn(of, proxy.id) ?? otherwise,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  const others = [...runner.filters].filter((other) => other !== filter).sort();
  return {
    filter,
    proxies: versions(filter, BUILT_IN),
    others: others.map((other) => ({ filter: other, proxies: versions(other, NO_VERSION) })),
    elsewhere,
    rollouts: runner.rollouts.toReversed().slice(0, MOST_ROLLOUTS),
  };
}

/** Of the proxies that a view names, for filters that there were rollouts of. */
export function countsOf({ filter, proxies, others, rollouts }: FilterView): readonly VersionCount[] {
  const all = rollouts.length === 0 ? [] : [{ filter, proxies }, ...others];
  return sumCounts(
    all.flatMap((of) =>
      of.proxies.map(({ assigned, running }) => ({ filter: of.filter, assigned, running, proxies: 1 })),
    ),
  );
}
