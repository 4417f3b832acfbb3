// A rule's fault, with Headgate's annotations on its VirtualService -> the fault that is injected, and by whom.
import { create } from "@bufbuild/protobuf";
import { BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { type Metadata, MetadataSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import { encodeFault, TRY_FAULT_METADATA_KEY } from "../policy/compile.js";
import type { PolicyFault } from "../policy/rule.js";
import { FAULT_DRAW_ANNOTATION, FAULT_EXPIRES_ANNOTATION } from "../resources/annotations.js";
import type { HttpRoute, VirtualService } from "../resources/virtual-service.js";
import { pack } from "./resource.js";

export function ruleFault(rule: HttpRoute, owner: VirtualService): PolicyFault | undefined {
  if (!rule.fault) return undefined;
  const { delay, abort } = rule.fault;
  const { annotations } = owner.meta;
  const expiresAt = Date.parse(annotations[FAULT_EXPIRES_ANNOTATION] ?? "");
  return {
    ...(delay ? { delay: { millis: delay.fixedDelayMs, percentage: delay.percentage } } : {}),
    ...(abort ? { abort } : {}),
    ...(drawsForTries(owner) ? { perTry: true } : {}),
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}

/** Whether the faults of a VirtualService's rules are drawn for every try. */
export function drawsForTries({ meta }: VirtualService): boolean {
  return meta.annotations[FAULT_DRAW_ANNOTATION] === "try";
}

/** What tells the try filter of a route's fault; undefined where there is none, or where the traffic filter draws it. */
export function tryFaultMetadata(fault: PolicyFault | undefined): Metadata | undefined {
  if (!fault?.perTry) return undefined;
  const value = pack(BytesValueSchema, create(BytesValueSchema, { value: encodeFault(fault) }));
  return create(MetadataSchema, { typedFilterMetadata: { [TRY_FAULT_METADATA_KEY]: value } });
}
