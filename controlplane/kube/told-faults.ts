// Faults that last are told once, and so is their end.
import type { KubeFault } from "./object.js";

/**
 * Tells of a fault where it has another cause than the one before, and with undefined that it is over. causeOf: by default
 * the message; something else where the same fault has other words each time.
 */
export function onChangedFault<Fault extends Error>(
  tell: (fault: Fault | undefined) => void,
  causeOf: (fault: Fault) => string = ({ message }) => message,
): (fault: Fault | undefined) => void {
  let told: string | undefined;
  return (fault) => {
    const cause = fault && causeOf(fault);
    if (told === cause) return;
    told = cause;
    tell(fault);
  };
}

/** The cause of a refusal, which has other words for each object. */
export function refusalOf({ status, reason }: KubeFault): string {
  return `${status} ${reason}`;
}
