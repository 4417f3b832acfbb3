// The annotations by which a VirtualService says what Istio's fields cannot; each with the values it takes.
import { runCheck } from "./checks.js";
import type { Report } from "./report.js";
import type { ObjectMeta } from "./resource.js";

/** The time, as in 2030-01-31T12:00:00Z, from which on faults are no longer injected. */
export const FAULT_EXPIRES_ANNOTATION = "headgate.dev/fault-expires";
/** Whether faults are drawn once for a request, or for each of its tries. */
export const FAULT_DRAW_ANNOTATION = "headgate.dev/fault-draw";
/** Whether the host's own service gets the requests that the filter cannot decide. */
export const FAIL_OPEN_ANNOTATION = "headgate.dev/fail-open";

const DRAWS = ["request", "try"];
const BOOLEANS = ["true", "false"];

/** Reports the annotations of a VirtualService whose values mean nothing. */
export function checkAnnotations({ annotations }: ObjectMeta, report: Report): void {
  const check = (name: string, allowed: (value: string) => boolean, expected: string) => {
    const value = annotations[name];
    if (value === undefined || allowed(value)) return;
    report.error("invalid-value", ["metadata", "annotations", name], `${name} is ${expected}, not "${value}".`);
  };
  check(FAULT_DRAW_ANNOTATION, (value) => DRAWS.includes(value), '"request" or "try"');
  check(FAIL_OPEN_ANNOTATION, (value) => BOOLEANS.includes(value), '"true" or "false"');
  const isTime = (value: string) => runCheck("timestamp", value) === undefined;
  check(FAULT_EXPIRES_ANNOTATION, isTime, "a time such as 2030-01-31T12:00:00Z");
}
