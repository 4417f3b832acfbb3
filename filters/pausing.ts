// Holds requests back and lets them go when they are due, or answers them in the backend's place.
import * as host from "./abi/host";
import { count } from "./abi/metrics";
import { ascii } from "./abi/text";
import { addRoot, startTicking, stopTicking } from "./abi/ticker";
import * as paused from "./fault/paused";
import * as telemetry from "./telemetry";

const NANOS_PER_MILLI: u64 = 1_000_000;
/** Ticks come a millisecond apart or more: as many requests are to go on before they are due as after, as near as can be. */
const HALF_TICK: u64 = 500_000;
const BODY = "fault filter abort";
const DETAILS = "headgate_fault_abort";
const body = ascii(BODY);
const details = ascii(DETAILS);

/** Takes note of a root context; requests that wait already depend on the new one, too. */
export function keepTicking(root: u32): void {
  addRoot(root);
  if (paused.pausedCount() > 0) startTicking(root);
}

/**
 * Holds the request back, and then lets it go (status 0) or aborts it. False, and counted, when too many wait already.
 */
export function pause(context: u32, milliseconds: u32, status: u32, grpcStatus: i32): bool {
  const due = host.monotonicNow() + milliseconds * NANOS_PER_MILLI;
  const first = paused.pausedCount() === 0;
  if (!paused.addPaused(due, context, status, grpcStatus)) {
    forgetGone(context);
    if (!paused.addPaused(due, context, status, grpcStatus)) {
      count(telemetry.delaysSkipped);
      return false;
    }
  }
  count(telemetry.delaysInjected);
  if (first) startTicking(context);
  return true;
}

/** Resumes or aborts every request whose delay is over; root: the context that ticks. */
export function resumeDue(root: u32): void {
  const now = host.monotonicNow();
  while (paused.pausedCount() > 0 && paused.nextDue() <= now + HALF_TICK) {
    const context = paused.pausedContext(0);
    const status = paused.abortStatusOf(0);
    const grpcStatus = paused.grpcStatusOf(0);
    paused.removePaused(0);
    if (!host.enterContext(context)) continue;
    if (status === 0) host.continueRequest();
    else abort(status, grpcStatus);
  }
  if (paused.pausedCount() === 0) stopTicking(root);
}

/** Answers the request in the backend's place, as Envoy's own fault filter does; grpcStatus: -1 for none. */
export function abort(status: u32, grpcStatus: i32): void {
  count(telemetry.abortsInjected);
  host.sendLocalResponse(status, details, DETAILS.length, body, BODY.length, grpcStatus);
}

/** Takes out requests whose clients have left, which nothing tells us otherwise. */
function forgetGone(context: u32): void {
  for (let i = paused.pausedCount(); i > 0; i--)
    if (!host.enterContext(paused.pausedContext(i - 1))) paused.removePaused(i - 1);
  host.enterContext(context);
}
