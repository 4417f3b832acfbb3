// The area behind a loaded image that the filter writes to: what this request holds in each slot, and metric ids.
import { scratch } from "../abi/memory";
import { imageSize, sectionCount } from "./image";
import { SECTION_LABELS, SECTION_SLOTS } from "./tags";

// A value: where it lies (0: the slot is absent), its length, the keys it was found to be, and the slot's next value.
export const VALUE_POINTER = 0;
export const VALUE_LENGTH = 4;
export const VALUE_EXACT_KEY = 8;
export const VALUE_PREFIX_KEY = 12;
const VALUE_NEXT = 16;
const VALUE_STRIDE = 20;

/** Bytes of the work area; it is zero when the image is loaded. */
export function workSize(image: usize): usize {
  return 4 + sectionCount(image, SECTION_SLOTS) * (VALUE_STRIDE + 4) + sectionCount(image, SECTION_LABELS) * 4;
}

/** The slot's first value. */
export function valueOf(image: usize, slot: u32): usize {
  return values(image) + slot * VALUE_STRIDE;
}

/** The same slot's next value, or 0. */
export function nextValue(value: usize): usize {
  return load<usize>(value, VALUE_NEXT);
}

export function isPresent(image: usize, slot: u32): bool {
  return load<usize>(valueOf(image, slot), VALUE_POINTER) !== 0;
}

/** Gives a slot a value, or one more; the bytes must outlast the decision. */
export function addValue(image: usize, slot: u32, pointer: usize, length: usize): void {
  const first = valueOf(image, slot);
  let value = first;
  if (load<usize>(first, VALUE_POINTER) === 0) {
    const count = filledCount(image);
    store<u32>(filled(image) + 4 * count, slot);
    store<u32>(image + imageSize(image), count + 1);
    store<usize>(first, 0, VALUE_NEXT);
  } else {
    value = scratch(VALUE_STRIDE);
    store<usize>(value, nextValue(first), VALUE_NEXT);
    store<usize>(first, value, VALUE_NEXT);
  }
  store<usize>(value, pointer, VALUE_POINTER);
  store<usize>(value, length, VALUE_LENGTH);
}

/** How many slots hold a value, and which. */
export function filledCount(image: usize): u32 {
  return load<u32>(image + imageSize(image));
}

export function filledSlot(image: usize, i: u32): u32 {
  return load<u32>(filled(image) + 4 * i);
}

/** Makes all slots absent again, at a cost that follows how many were filled. */
export function clearValues(image: usize): void {
  for (let i: u32 = 0, count = filledCount(image); i < count; i++)
    store<usize>(valueOf(image, filledSlot(image, i)), 0, VALUE_POINTER);
  store<u32>(image + imageSize(image), 0);
}

/** Where the metric id of a label's counter is kept; 0 while it has none. */
export function metricOf(image: usize, label: u32): usize {
  return filled(image) + 4 * (sectionCount(image, SECTION_SLOTS) + label);
}

function values(image: usize): usize {
  return image + imageSize(image) + 4;
}

function filled(image: usize): usize {
  return values(image) + sectionCount(image, SECTION_SLOTS) * VALUE_STRIDE;
}
