// The flags of `headgate serve` that say where workloads that register themselves are kept.
import { resolve } from "node:path";
import type { KubeClient } from "../kube/client.js";
import { replicaIdentity } from "../kube/replica-identity.js";
import { ClusterEntries } from "../registration/cluster-entries.js";
import type { Entries } from "../registration/entries.js";
import type { CommandOption, OptionValues } from "./command.js";
import { filtersNamespace } from "./filter-options.js";
import type { Read } from "./flag-values.js";

export const REGISTRATION_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--registrations <dir>",
    summary: "where workloads that register themselves in WorkloadGroups are kept (default: they cannot)",
  },
  { flags: "--kube-registrations", summary: "keep them in the cluster, as WorkloadEntries" },
];

/** A directory, which becomes a source, or a cluster that is read anyway; undefined where nobody may register. */
export function readServeRegistrations(
  options: OptionValues,
  cwd: string,
  client: KubeClient | undefined,
  onNotice: (notice: string) => void,
): Read<string | Entries | undefined> {
  const { registrations: directory, kubeRegistrations } = options;
  if (kubeRegistrations !== true) return { value: typeof directory === "string" ? resolve(cwd, directory) : undefined };
  if (client === undefined) return { error: "--kube-registrations needs --kube" };
  if (directory !== undefined) return { error: "give --registrations or --kube-registrations, not both" };
  const onFault = (fault: Error | undefined) =>
    onNotice(fault ? `what others have registered cannot be followed: ${fault.message}` : "all is well again");
  return {
    value: new ClusterEntries({ client, namespace: filtersNamespace(options), identity: replicaIdentity(), onFault }),
  };
}
