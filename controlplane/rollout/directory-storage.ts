// Filters and rollouts in a directory, which one control plane follows at a time.

import { DirectoryVersions } from "../registry/directory-versions.js";
import { DirectoryPins } from "../registry/pins.js";
import { DirectoryRollouts } from "./directory-rollouts.js";
import { type DirectoryLock, lockDirectory } from "./lock.js";
import type { Peers } from "./peers.js";
import type { FollowedStorage } from "./storage.js";

export function createDirectoryStorage(directory: string): FollowedStorage {
  const pins = new DirectoryPins(directory);
  return {
    versions: new DirectoryVersions(directory),
    rollouts: new DirectoryRollouts(directory),
    peers: createSolitude(directory),
    pins: () => pins.read(),
    recordPins: (now) => pins.write(now),
  };
}

/** No others, and a lock that keeps it so. */
function createSolitude(directory: string): Peers {
  let lock: DirectoryLock | undefined;
  return {
    async start() {
      lock = await lockDirectory(directory);
      if (!lock) throw new Error(`another control plane follows the filters in ${directory}`);
    },
    leads: true,
    seek: () => {},
    tell: () => {},
    heard: () => [],
    patience: 0,
    async close() {
      lock?.release();
    },
  };
}
