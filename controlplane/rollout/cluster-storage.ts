// Filters and rollouts on a cluster, in ConfigMaps of one namespace, which any number of control planes follow.
import type { KubeClient } from "../kube/client.js";
import { FollowedObjects } from "../kube/followed-objects.js";
import { replicaIdentity } from "../kube/replica-identity.js";
import { readClusterPins } from "../registry/cluster-pins.js";
import { ClusterVersions, CONFIG_MAPS } from "../registry/cluster-versions.js";
import { ClusterPeers } from "./cluster-peers.js";
import { ClusterRollouts, rolloutsIn } from "./cluster-rollouts.js";
import { ReplicaVersions } from "./replica-versions.js";
import type { FilterStorage, FollowedStorage } from "./storage.js";

export interface ClusterStorageOptions {
  readonly client: KubeClient;
  readonly namespace: string;
}

export interface FollowedStorageOptions extends ClusterStorageOptions {
  /** What keeps the cluster's filters from being followed, or rollouts from being moved, and that it is over. */
  readonly onNotice: (notice: string) => void;
}

/** The Lease of the control plane that moves rollouts, and its seconds. */
const LEASE = "headgate-rollouts";
const LEASE_SECONDS = 6;

/** For commands: each look asks the server. */
export function createClusterStorage({ client, namespace }: ClusterStorageOptions): FilterStorage {
  return storageOf({ client, namespace }, new ClusterRollouts({ client, namespace }));
}

/** For a control plane. */
export function createFollowedStorage(options: FollowedStorageOptions): FollowedStorage {
  const { client, namespace, onNotice } = options;
  const tell = (what: string) => (fault: Error | undefined) =>
    onNotice(fault ? `${what}: ${fault.message}` : `${what}: no longer`);
  const onFault = tell("filters and their rollouts cannot be read");
  const followed = new FollowedObjects({ client, type: CONFIG_MAPS, selection: rolloutsIn(namespace), onFault });
  const rollouts = new ClusterRollouts({ client, namespace, followed });
  const identity = replicaIdentity();
  const lease = {
    ...{ client, namespace, name: LEASE, identity, seconds: LEASE_SECONDS },
    onFault: tell("rollouts cannot be moved from here"),
  };
  const peers = new ClusterPeers({ followed, rollouts, lease, onFault: tell("rollouts cannot be told of from here") });
  const replicas = new ReplicaVersions({
    ...{ client, namespace, group: LEASE, identity },
    onFault: tell("replicas cannot tell each other which versions their proxies run"),
  });
  return { ...storageOf(options, rollouts), peers, replicas };
}

function storageOf({ client, namespace }: ClusterStorageOptions, rollouts: ClusterRollouts): FilterStorage {
  return { versions: new ClusterVersions(client, namespace), rollouts, pins: () => readClusterPins(client) };
}
