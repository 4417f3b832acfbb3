// Which of a rule's destinations gets a request.
import { record } from "../policy/image";
import { murmur3 } from "../policy/murmur3";
import * as tags from "../policy/tags";
import { isPresent, nextValue, VALUE_EXACT_KEY, valueOf } from "../policy/work";
import { scaled } from "./random";
import { distanceOf } from "./rendezvous";
import { findKey, keyLength, keyStart } from "./sticky-key";
import { openWeights, weightOf } from "./weights";

/** The chosen destination's index within a rule without a rollout; bits: 32 random ones. */
export function chooseByWeight(image: usize, rule: usize, bits: u32): u32 {
  const last = load<u32>(rule, tags.RULE_DESTINATION_COUNT) - 1;
  if (last === 0) return 0;
  const destinations = record(
    image,
    tags.SECTION_DESTINATIONS,
    load<u32>(rule, tags.RULE_DESTINATIONS),
    tags.DESTINATION_STRIDE,
  );
  let left = scaled(bits, load<u32>(rule, tags.RULE_TOTAL_WEIGHT));
  for (let i: u32 = 0; i < last; i++) {
    const weight = load<u32>(destinations + i * tags.DESTINATION_STRIDE, tags.DESTINATION_WEIGHT);
    if (left < weight) return i;
    left -= weight;
  }
  return last;
}

/**
 * The chosen destination's index within a rule with a rollout: where an override pins the request, else where its key
 * does, else by the weights. now: milliseconds since the epoch; address: the client's, for that kind of key.
 */
export function chooseByRollout(
  image: usize,
  rule: usize,
  rollout: usize,
  bits: u32,
  now: u64,
  address: usize,
  addressLength: usize,
): u32 {
  const pinned = findOverride(image, rollout);
  if (pinned !== tags.NONE) return pinned;
  const count = load<u32>(rule, tags.RULE_DESTINATION_COUNT);
  openWeights(image, rule, rollout, now);
  return findKey(image, rollout, address, addressLength)
    ? chooseByKey(image, rule, count, load<u32>(rollout, tags.ROLLOUT_SEED))
    : chooseByChance(count, bits);
}

function findOverride(image: usize, rollout: usize): i32 {
  const slot = load<i32>(rollout, tags.ROLLOUT_OVERRIDE_SLOT);
  if (slot === tags.NONE || !isPresent(image, slot)) return tags.NONE;
  const first = load<u32>(rollout, tags.ROLLOUT_OVERRIDES);
  const count = load<u32>(rollout, tags.ROLLOUT_OVERRIDE_COUNT);
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    const key = load<i32>(value, VALUE_EXACT_KEY);
    if (key === tags.NONE) continue;
    for (let i: u32 = 0; i < count; i++) {
      const pin = record(image, tags.SECTION_OVERRIDES, first + i, tags.OVERRIDE_STRIDE);
      if (load<i32>(pin, tags.OVERRIDE_KEY) === key) return load<i32>(pin, tags.OVERRIDE_DESTINATION);
    }
  }
  return tags.NONE;
}

function chooseByChance(count: u32, bits: u32): u32 {
  let total: f64 = 0;
  for (let i: u32 = 0; i < count; i++) total += weightOf(i);
  let left = (<f64>bits / 4294967296) * total;
  let chosen: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const weight = weightOf(i);
    if (weight > 0) {
      chosen = i;
      if (left < weight) break;
    }
    left -= weight;
  }
  return chosen;
}

function chooseByKey(image: usize, rule: usize, count: u32, seed: u32): u32 {
  const first = load<u32>(rule, tags.RULE_DESTINATIONS);
  let chosen: u32 = 0;
  let best: f64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const weight = weightOf(i);
    if (weight <= 0) continue;
    const destination = record(image, tags.SECTION_DESTINATIONS, first + i, tags.DESTINATION_STRIDE);
    const label = record(image, tags.SECTION_LABELS, load<u32>(destination, tags.DESTINATION_LABEL), tags.LABEL_STRIDE);
    const hash = murmur3(keyStart(), keyLength(), seed ^ load<u32>(label, tags.LABEL_HASH));
    const score = weight / <f64>distanceOf(hash);
    if (score > best) {
      best = score;
      chosen = i;
    }
  }
  return chosen;
}
