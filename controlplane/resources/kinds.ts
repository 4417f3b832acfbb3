// The union of everything that a source can bring in.
import type { DestinationRule } from "./destination-rule.js";
import type { Gateway } from "./gateway.js";
import type { EndpointSlice, Pod, Secret, Service } from "./kubernetes.js";
import type { ServiceEntry, WorkloadEntry } from "./service-entry.js";
import type { Sidecar } from "./sidecar.js";
import type { StagedRollout } from "./staged-rollout.js";
import type { VirtualService } from "./virtual-service.js";

export type AnyResource =
  | VirtualService
  | DestinationRule
  | Gateway
  | ServiceEntry
  | WorkloadEntry
  | Sidecar
  | StagedRollout
  | Service
  | EndpointSlice
  | Pod
  | Secret;

export type Kind = AnyResource["kind"];
