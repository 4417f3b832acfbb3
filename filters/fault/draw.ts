// Whether a fault strikes a request.
import * as tags from "../policy/tags";

/** Whether odds in millionths hit; bits: 32 random ones. */
export function strikes(odds: u32, bits: u32): bool {
  return <u32>((<u64>bits * tags.ODDS_ALWAYS) >> 32) < odds;
}

export function hasExpiry(fault: usize): bool {
  return load<u64>(fault, tags.FAULT_EXPIRES) !== 0;
}

/** Whether a fault that has an expiry has ended; milliseconds since the epoch. */
export function isExpired(fault: usize, now: u64): bool {
  return now >= load<u64>(fault, tags.FAULT_EXPIRES);
}
