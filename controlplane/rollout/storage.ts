// Where filters and their rollouts lie, all that belongs together: a directory, or a cluster.
import type { Pin } from "../registry/pins.js";
import type { VersionStore } from "../registry/version-store.js";
import type { Peers } from "./peers.js";
import type { ReplicaVersions } from "./replica-versions.js";
import { type RolloutStore, rolloutsInUse } from "./store.js";

export interface FilterStorage {
  readonly versions: VersionStore;
  readonly rollouts: RolloutStore;
  /** Versions that policies name. */
  pins(): Promise<readonly Pin[]>;
}

/** As a control plane has it, which carries the rollouts out. */
export interface FollowedStorage extends FilterStorage {
  readonly peers: Peers;
  /** Of control planes that share the storage; absent where there can be no others. */
  readonly replicas?: ReplicaVersions;
  /** The versions that the control plane's policies name now, where the storage cannot find out by itself. */
  recordPins?(pins: readonly Pin[]): Promise<void>;
}

/** The versions of a filter that must stay, each with what it is for, as in "rollout 000003" or "WasmPlugin shop/hello". */
export async function versionsInUse(storage: FilterStorage, filter: string): Promise<ReadonlyMap<string, string>> {
  const [rollouts, pins] = await Promise.all([storage.rollouts.list(), storage.pins()]);
  return new Map([
    ...pins.filter((pin) => pin.filter === filter).map(({ version, by }): [string, string] => [version, by]),
    ...rolloutsInUse(rollouts, filter).map(({ plan }): [string, string] => [plan.version, `rollout ${plan.id}`]),
  ]);
}
