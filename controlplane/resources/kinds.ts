// The union of everything that a source can bring in.
import type { DestinationRule } from "./destination-rule.js";
import type { Gateway } from "./gateway.js";
import type { EndpointSlice, Namespace, Node, Pod, Secret, Service } from "./kubernetes.js";
import type { ServiceEntry, WorkloadEntry } from "./service-entry.js";
import type { Sidecar } from "./sidecar.js";
import type { StagedRollout } from "./staged-rollout.js";
import type { TrafficExtension } from "./traffic-extension.js";
import type { VirtualService } from "./virtual-service.js";
import type { WasmPlugin } from "./wasm-plugin.js";
import type { WorkloadGroup } from "./workload-group.js";

export type AnyResource =
  | VirtualService
  | DestinationRule
  | Gateway
  | ServiceEntry
  | WorkloadEntry
  | WorkloadGroup
  | Sidecar
  | StagedRollout
  | WasmPlugin
  | TrafficExtension
  | Service
  | EndpointSlice
  | Pod
  | Node
  | Namespace
  | Secret;

export type Kind = AnyResource["kind"];
