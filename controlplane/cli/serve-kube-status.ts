// The flags of `headgate serve` that have the cluster told what became of its policies.
import { replicaIdentity } from "../kube/replica-identity.js";
import type { KubeStatusOptions } from "../kube-status/kube-status.js";
import type { CommandOption, OptionValues } from "./command.js";
import type { Read } from "./flag-values.js";

export const KUBE_STATUS_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--kube-status",
    summary: "write to the cluster's policies what became of them: conditions, and events on rejection",
  },
  {
    flags: "--kube-lease <namespace/name>",
    summary: "the Lease by which replicas agree on the one that writes",
    default: "headgate-system/headgate",
  },
];

/** Undefined without --kube-status. */
export function readServeKubeStatus(
  options: OptionValues,
  onNotice: (notice: string) => void,
): Read<KubeStatusOptions | undefined> {
  if (options.kubeStatus !== true) return { value: undefined };
  if (options.kube !== true) return { error: "--kube-status needs --kube" };
  const [namespace, name, ...more] = String(options.kubeLease).split("/");
  if (!namespace || !name || more.length > 0) {
    return { error: `--kube-lease is "${options.kubeLease}": write NAMESPACE/NAME` };
  }
  return { value: { lease: { namespace, name }, identity: replicaIdentity(), onNotice } };
}
