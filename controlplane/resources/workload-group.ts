// WorkloadGroup (networking.istio.io): what the WorkloadEntries of workloads that register themselves look like.
import type { Resource } from "./resource.js";
import type { WorkloadEndpoint } from "./service-entry.js";

/** What a proxy that names the group becomes while it is connected: see registration/. */
export interface WorkloadGroupSpec {
  /** For the metadata of the entries. */
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly template: WorkloadEndpoint;
}

export type WorkloadGroup = Resource<"WorkloadGroup", WorkloadGroupSpec>;
