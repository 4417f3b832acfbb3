// The weights of a rule's destinations: as written, or as a ramp has them by now.
import { record } from "../policy/image";
import * as tags from "../policy/tags";

let ramp: usize = 0;
let next: usize = 0;
let progress: f64 = 0;
let destinations: usize = 0;

/** Looks up what weightOf then answers. now: milliseconds since the epoch, for ramps only. */
export function openWeights(image: usize, rule: usize, rollout: usize, now: u64): void {
  destinations = record(
    image,
    tags.SECTION_DESTINATIONS,
    load<u32>(rule, tags.RULE_DESTINATIONS),
    tags.DESTINATION_STRIDE,
  );
  ramp = 0;
  const count: u32 = load<u32>(rollout, tags.ROLLOUT_RAMP_COUNT);
  if (count === 0) return;
  const ramps = record(image, tags.SECTION_RAMPS, load<u32>(rollout, tags.ROLLOUT_RAMPS), tags.RAMP_STRIDE);
  let before: u32 = 0;
  while (before + 1 < count && load<u64>(ramps + (before + 1) * tags.RAMP_STRIDE) <= now) before++;
  const from = ramps + before * tags.RAMP_STRIDE;
  const to = before + 1 < count ? from + tags.RAMP_STRIDE : from;
  const start = load<u64>(from, tags.RAMP_AT);
  const end = load<u64>(to, tags.RAMP_AT);
  progress = now > start && end > start ? <f64>(now - start) / <f64>(end - start) : 0;
  ramp = record(image, tags.SECTION_WEIGHTS, load<u32>(from, tags.RAMP_WEIGHTS), tags.WEIGHT_STRIDE);
  next = record(image, tags.SECTION_WEIGHTS, load<u32>(to, tags.RAMP_WEIGHTS), tags.WEIGHT_STRIDE);
}

/** The weight of the rule's destination of that index, 0 or more. */
export function weightOf(index: u32): f64 {
  if (ramp === 0) return load<u32>(destinations + index * tags.DESTINATION_STRIDE, tags.DESTINATION_WEIGHT);
  const from = <f64>load<u32>(ramp + index * tags.WEIGHT_STRIDE);
  return from + (<f64>load<u32>(next + index * tags.WEIGHT_STRIDE) - from) * progress;
}
