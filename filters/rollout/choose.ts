// Which of a rule's destinations gets a request.
import { record } from "../policy/image";
import * as tags from "../policy/tags";
import { scaled } from "./random";

/** The chosen destination's index in DESTINATIONS; bits: 32 random ones. */
export function chooseDestination(image: usize, rule: usize, bits: u32): u32 {
  const first = load<u32>(rule, tags.RULE_DESTINATIONS);
  const count = load<u32>(rule, tags.RULE_DESTINATION_COUNT);
  if (count === 1) return first;
  const destinations = record(image, tags.SECTION_DESTINATIONS, first, tags.DESTINATION_STRIDE);
  let left = scaled(bits, load<u32>(rule, tags.RULE_TOTAL_WEIGHT));
  for (let i: u32 = 0; i < count - 1; i++) {
    const weight = load<u32>(destinations + i * tags.DESTINATION_STRIDE, tags.DESTINATION_WEIGHT);
    if (left < weight) return first + i;
    left -= weight;
  }
  return first + count - 1;
}
