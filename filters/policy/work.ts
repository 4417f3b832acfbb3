// The area behind a loaded image that the filter writes to: what this request holds in each slot, and metric ids.
import { imageSize, sectionCount } from "./image";
import { SECTION_LABELS, SECTION_SLOTS } from "./tags";

// A view: where the slot's value lies (0: absent), its length, and the keys it was found to be.
export const VIEW_POINTER = 0;
export const VIEW_LENGTH = 4;
export const VIEW_EXACT_KEY = 8;
export const VIEW_PREFIX_KEY = 12;
const VIEW_STRIDE = 16;

/** Bytes of the work area; it is zero when the image is loaded. */
export function workSize(image: usize): usize {
  return 4 + sectionCount(image, SECTION_SLOTS) * (VIEW_STRIDE + 4) + sectionCount(image, SECTION_LABELS) * 4;
}

export function viewOf(image: usize, slot: u32): usize {
  return views(image) + slot * VIEW_STRIDE;
}

export function isPresent(image: usize, slot: u32): bool {
  return load<usize>(viewOf(image, slot), VIEW_POINTER) !== 0;
}

/** Sets a slot's value; the bytes must outlast the decision. */
export function setView(image: usize, slot: u32, pointer: usize, length: usize): void {
  const view = viewOf(image, slot);
  if (load<usize>(view, VIEW_POINTER) === 0) {
    const count = filledCount(image);
    store<u32>(filled(image) + 4 * count, slot);
    store<u32>(image + imageSize(image), count + 1);
  }
  store<usize>(view, pointer, VIEW_POINTER);
  store<usize>(view, length, VIEW_LENGTH);
}

/** How many slots hold a value, and which. */
export function filledCount(image: usize): u32 {
  return load<u32>(image + imageSize(image));
}

export function filledSlot(image: usize, i: u32): u32 {
  return load<u32>(filled(image) + 4 * i);
}

/** Makes all slots absent again, at a cost that follows how many were filled. */
export function clearViews(image: usize): void {
  for (let i: u32 = 0, count = filledCount(image); i < count; i++)
    store<usize>(viewOf(image, filledSlot(image, i)), 0, VIEW_POINTER);
  store<u32>(image + imageSize(image), 0);
}

/** Where the metric id of a label's counter is kept; 0 while it has none. */
export function metricOf(image: usize, label: u32): usize {
  return filled(image) + 4 * (sectionCount(image, SECTION_SLOTS) + label);
}

function views(image: usize): usize {
  return image + imageSize(image) + 4;
}

function filled(image: usize): usize {
  return views(image) + sectionCount(image, SECTION_SLOTS) * VIEW_STRIDE;
}
