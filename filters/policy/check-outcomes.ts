// Checks what a policy image says is to happen once a rule matched.
import { isReference, isRun } from "./check-references";
import { record, section, sectionCount } from "./image";
import * as tags from "./tags";

export function checkOutcomes(image: usize): bool {
  return checkRoutes(image) && checkFaults(image) && checkRules(image);
}

function checkRoutes(image: usize): bool {
  const routes = sectionCount(image, tags.SECTION_ROUTES);
  for (let i: u32 = 0; i < routes; i++) {
    const route = record(image, tags.SECTION_ROUTES, i, tags.ROUTE_STRIDE);
    if (!isRun(image, tags.SECTION_BYTES, load<u32>(route, tags.ROUTE_ID), load<u32>(route, tags.ROUTE_ID_LENGTH)))
      return false;
  }
  const labels = sectionCount(image, tags.SECTION_LABELS);
  for (let i: u32 = 0; i < labels; i++) {
    const label = record(image, tags.SECTION_LABELS, i, tags.LABEL_STRIDE);
    if (!isRun(image, tags.SECTION_BYTES, load<u32>(label, tags.LABEL_TEXT), load<u32>(label, tags.LABEL_LENGTH)))
      return false;
  }
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_DESTINATIONS); i < count; i++) {
    const destination = record(image, tags.SECTION_DESTINATIONS, i, tags.DESTINATION_STRIDE);
    if (load<u32>(destination, tags.DESTINATION_ROUTE) >= routes) return false;
    if (load<u32>(destination, tags.DESTINATION_LABEL) >= labels) return false;
  }
  return true;
}

function checkFaults(image: usize): bool {
  const faults = section(image, tags.SECTION_FAULTS);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_FAULTS); i < count; i++) {
    if (!isValidFault(faults + i * tags.FAULT_STRIDE)) return false;
  }
  return true;
}

/** Whether the bytes of one fault make sense. */
export function isValidFault(fault: usize): bool {
  const status = load<u32>(fault, tags.FAULT_ABORT_STATUS);
  const grpcStatus = load<i32>(fault, tags.FAULT_GRPC_STATUS);
  return status >= 200 && status <= 599 && grpcStatus >= tags.NONE && grpcStatus <= 16;
}

/** The runs of one rule follow those of the rule before it. */
function checkRules(image: usize): bool {
  let destinations: u32 = 0;
  let rollouts: i32 = 0;
  let ramps: u32 = 0;
  let weights: u32 = 0;
  let overrides: u32 = 0;
  for (let i: u32 = 0, end = sectionCount(image, tags.SECTION_RULES); i < end; i++) {
    const rule = record(image, tags.SECTION_RULES, i, tags.RULE_STRIDE);
    const count = load<u32>(rule, tags.RULE_DESTINATION_COUNT);
    if (
      load<u32>(rule, tags.RULE_DESTINATIONS) !== destinations ||
      !isReference(image, tags.SECTION_FAULTS, load<i32>(rule, tags.RULE_FAULT)) ||
      !isReference(image, tags.SECTION_ROLLOUTS, load<i32>(rule, tags.RULE_ROLLOUT)) ||
      !checkDestinations(image, destinations, count, load<u32>(rule, tags.RULE_TOTAL_WEIGHT))
    )
      return false;
    destinations += count;
    const index = load<i32>(rule, tags.RULE_ROLLOUT);
    if (index === tags.NONE) continue;
    const rollout = record(image, tags.SECTION_ROLLOUTS, index, tags.ROLLOUT_STRIDE);
    if (
      index !== rollouts ||
      load<u32>(rollout, tags.ROLLOUT_RAMPS) !== ramps ||
      load<u32>(rollout, tags.ROLLOUT_OVERRIDES) !== overrides ||
      !checkRollout(image, rollout, count, weights)
    )
      return false;
    rollouts++;
    ramps += load<u32>(rollout, tags.ROLLOUT_RAMP_COUNT);
    weights += load<u32>(rollout, tags.ROLLOUT_RAMP_COUNT) * count;
    overrides += load<u32>(rollout, tags.ROLLOUT_OVERRIDE_COUNT);
  }
  return true;
}

function checkDestinations(image: usize, first: u32, count: u32, total: u32): bool {
  if (count === 0 || total === 0 || !isRun(image, tags.SECTION_DESTINATIONS, first, count)) return false;
  const destinations = record(image, tags.SECTION_DESTINATIONS, first, tags.DESTINATION_STRIDE);
  let sum: u64 = 0;
  for (let i: u32 = 0; i < count; i++)
    sum += load<u32>(destinations + i * tags.DESTINATION_STRIDE, tags.DESTINATION_WEIGHT);
  return sum === total;
}

function checkRollout(image: usize, rollout: usize, destinations: u32, weights: u32): bool {
  const kind = load<u32>(rollout, tags.ROLLOUT_KEY);
  const ramps = load<u32>(rollout, tags.ROLLOUT_RAMPS);
  const rampCount = load<u32>(rollout, tags.ROLLOUT_RAMP_COUNT);
  const overrides = load<u32>(rollout, tags.ROLLOUT_OVERRIDES);
  const overrideCount = load<u32>(rollout, tags.ROLLOUT_OVERRIDE_COUNT);
  const slots = sectionCount(image, tags.SECTION_SLOTS);
  if (
    kind > <u32>tags.STICKY_SOURCE_ADDRESS ||
    ((kind === tags.STICKY_SLOT || kind === tags.STICKY_COOKIE) &&
      load<u32>(rollout, tags.ROLLOUT_KEY_SLOT) >= slots) ||
    !isRun(
      image,
      tags.SECTION_BYTES,
      load<u32>(rollout, tags.ROLLOUT_COOKIE),
      load<u32>(rollout, tags.ROLLOUT_COOKIE_LENGTH),
    ) ||
    !isReference(image, tags.SECTION_SLOTS, load<i32>(rollout, tags.ROLLOUT_OVERRIDE_SLOT)) ||
    !isRun(image, tags.SECTION_RAMPS, ramps, rampCount) ||
    !isRun(image, tags.SECTION_OVERRIDES, overrides, overrideCount)
  )
    return false;
  for (let i: u32 = 0; i < rampCount; i++) {
    const ramp = record(image, tags.SECTION_RAMPS, ramps + i, tags.RAMP_STRIDE);
    const first = weights + i * destinations;
    if (load<u32>(ramp, tags.RAMP_WEIGHTS) !== first || !isRun(image, tags.SECTION_WEIGHTS, first, destinations))
      return false;
  }
  for (let i: u32 = 0; i < overrideCount; i++) {
    const pinned = record(image, tags.SECTION_OVERRIDES, overrides + i, tags.OVERRIDE_STRIDE);
    if (load<u32>(pinned, tags.OVERRIDE_DESTINATION) >= destinations) return false;
  }
  return true;
}
