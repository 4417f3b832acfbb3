// Which keys a value holds on a slot: its exact value's, and its longest known prefix's.
import { record, section } from "../policy/image";
import { murmur3 } from "../policy/murmur3";
import * as tags from "../policy/tags";
import { nextValue, VALUE_EXACT_KEY, VALUE_LENGTH, VALUE_POINTER, VALUE_PREFIX_KEY, valueOf } from "../policy/work";

/**
 * Finds the keys that the values of a filled slot hold and notes them. A key that several values hold is noted with the
 * first: whoever repeats a header must not multiply the tuples that are looked up.
 */
export function resolveKeys(image: usize, slot: u32): void {
  const description = record(image, tags.SECTION_SLOTS, slot, tags.SLOT_STRIDE);
  const root = load<i32>(description, tags.SLOT_ROOT);
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    const text = load<usize>(value, VALUE_POINTER);
    const length = load<usize>(value, VALUE_LENGTH);
    noteKey(image, slot, value, findExact(image, description, text, length), VALUE_EXACT_KEY);
    noteKey(image, slot, value, findPrefix(image, root, text, length), VALUE_PREFIX_KEY);
  }
}

function noteKey(image: usize, slot: u32, value: usize, key: i32, field: usize): void {
  let earlier = valueOf(image, slot);
  while (earlier !== value && load<i32>(earlier + field) !== key) earlier = nextValue(earlier);
  store<i32>(value + field, earlier === value ? key : tags.NONE);
}

/** Whether a value's longest prefix is key or begins with key. */
export function hasPrefix(image: usize, value: usize, key: i32): bool {
  const keys = section(image, tags.SECTION_KEYS);
  let held = load<i32>(value, VALUE_PREFIX_KEY);
  while (held > key) held = load<i32>(keys + held * tags.KEY_STRIDE, tags.KEY_PARENT);
  return held === key;
}

/** The slot of a header or query parameter that a rule looks at, or NONE; table is one of tags.HEADER_*_NAMES. */
export function slotOfName(image: usize, table: u32, name: usize, length: usize): i32 {
  const size = load<u32>(image + table + 4);
  if (size === 0) return tags.NONE;
  const names = record(image, tags.SECTION_NAMES, load<u32>(image + table), tags.NAME_STRIDE);
  const slots = section(image, tags.SECTION_SLOTS);
  const bytes = section(image, tags.SECTION_BYTES);
  let place = murmur3(name, length, 0);
  while (true) {
    place &= size - 1;
    const slot = load<i32>(names + place * tags.NAME_STRIDE);
    if (slot === tags.NONE) return tags.NONE;
    const description = slots + slot * tags.SLOT_STRIDE;
    if (
      load<usize>(description, tags.SLOT_NAME_LENGTH) === length &&
      memory.compare(bytes + load<u32>(description, tags.SLOT_NAME), name, length) === 0
    )
      return slot;
    place++;
  }
}

function findExact(image: usize, slot: usize, value: usize, length: usize): i32 {
  const size = load<u32>(slot, tags.SLOT_EXACTS_SIZE);
  if (size === 0) return tags.NONE;
  const exacts = record(image, tags.SECTION_EXACTS, load<u32>(slot, tags.SLOT_EXACTS), tags.EXACT_STRIDE);
  const bytes = section(image, tags.SECTION_BYTES);
  const hash = murmur3(value, length, 0);
  let place = hash;
  while (true) {
    place &= size - 1;
    const entry = exacts + place * tags.EXACT_STRIDE;
    const key = load<i32>(entry, tags.EXACT_KEY);
    if (key === tags.NONE) return tags.NONE;
    if (
      load<u32>(entry, tags.EXACT_HASH) === hash &&
      load<usize>(entry, tags.EXACT_LENGTH) === length &&
      memory.compare(bytes + load<u32>(entry, tags.EXACT_VALUE), value, length) === 0
    )
      return key;
    place++;
  }
}

function findPrefix(image: usize, root: i32, value: usize, length: usize): i32 {
  let longest = tags.NONE;
  const nodes = section(image, tags.SECTION_NODES);
  const edges = section(image, tags.SECTION_EDGES);
  const bytes = section(image, tags.SECTION_BYTES);
  let at = value;
  const end = value + length;
  let index = root;
  while (index !== tags.NONE) {
    const node = nodes + index * tags.NODE_STRIDE;
    const labelLength = load<usize>(node, tags.NODE_LABEL_LENGTH);
    if (end - at < labelLength || memory.compare(bytes + load<u32>(node, tags.NODE_LABEL), at, labelLength) !== 0)
      break;
    at += labelLength;
    const key = load<i32>(node, tags.NODE_KEY);
    if (key !== tags.NONE) longest = key;
    if (at === end) break;
    const first = edges + load<u32>(node, tags.NODE_EDGES) * tags.EDGE_STRIDE;
    index = followEdge(first, load<u32>(node, tags.NODE_EDGE_COUNT), load<u8>(at++));
  }
  return longest;
}

/** The node that byte leads to, or NONE; the edges are sorted by byte. */
function followEdge(edges: usize, count: u32, byte: u32): i32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const edge = edges + middle * tags.EDGE_STRIDE;
    const found = load<u32>(edge, tags.EDGE_BYTE);
    if (found === byte) return load<i32>(edge, tags.EDGE_NODE);
    if (found < byte) low = middle + 1;
    else high = middle;
  }
  return tags.NONE;
}
