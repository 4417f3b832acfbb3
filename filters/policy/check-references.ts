// What the image's checks have in common: whether a record refers to what is there.
import { section, sectionCount } from "./image";
import { NONE } from "./tags";

/** Whether count records from start on are all in a section. */
export function isRun(image: usize, id: u32, start: u32, count: u32): bool {
  return <u64>start + count <= sectionCount(image, id);
}

/** Whether index is a record of a section, or NONE. */
export function isReference(image: usize, id: u32, index: i32): bool {
  return index === NONE || <u32>index < sectionCount(image, id);
}

/** Whether a run is a hash table that a search leaves: a power of two long, with an empty record; or of no length. */
export function isTable(image: usize, id: u32, start: u32, size: u32, stride: u32, field: u32): bool {
  if (size === 0) return true;
  if ((size & (size - 1)) !== 0 || !isRun(image, id, start, size)) return false;
  const first = section(image, id) + start * stride + field;
  for (let i: u32 = 0; i < size; i++) if (load<i32>(first + i * stride) === NONE) return true;
  return false;
}

/** Whether one field of all records of a section refers to records of another, or is NONE. */
export function allRefer(image: usize, id: u32, stride: u32, field: u32, target: u32): bool {
  const first = section(image, id) + field;
  for (let i: u32 = 0, count = sectionCount(image, id); i < count; i++)
    if (!isReference(image, target, load<i32>(first + i * stride))) return false;
  return true;
}

/** Whether all records of a section, of one word, are records of another. */
export function allAreBelow(image: usize, id: u32, target: u32): bool {
  const first = section(image, id);
  const limit = sectionCount(image, target);
  for (let i: u32 = 0, count = sectionCount(image, id); i < count; i++)
    if (load<u32>(first + 4 * i) >= limit) return false;
  return true;
}
