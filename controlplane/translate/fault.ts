// A rule's fault, with Headgate's annotations on its VirtualService -> the fault the filter injects.
import type { PolicyFault } from "../policy/rule.js";
import type { HttpRoute, VirtualService } from "../resources/virtual-service.js";

export function ruleFault(rule: HttpRoute, _owner: VirtualService): PolicyFault | undefined {
  if (!rule.fault) return undefined;
  const { delay, abort } = rule.fault;
  return {
    ...(delay ? { delay: { millis: delay.fixedDelayMs, percentage: delay.percentage } } : {}),
    ...(abort ? { abort } : {}),
  };
}
