// A rule's fault, with Headgate's annotations on its VirtualService -> the fault the filter injects.
import type { PolicyFault } from "../policy/rule.js";
import type { HttpRoute, VirtualService } from "../resources/virtual-service.js";

/** The time, as in 2030-01-31T12:00:00Z, from which on faults are no longer injected. */
const EXPIRES_ANNOTATION = "headgate.dev/fault-expires";

export function ruleFault(rule: HttpRoute, owner: VirtualService): PolicyFault | undefined {
  if (!rule.fault) return undefined;
  const { delay, abort } = rule.fault;
  const { annotations } = owner.meta;
  const expiresAt = Date.parse(annotations[EXPIRES_ANNOTATION] ?? "");
  return {
    ...(delay ? { delay: { millis: delay.fixedDelayMs, percentage: delay.percentage } } : {}),
    ...(abort ? { abort } : {}),
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}
