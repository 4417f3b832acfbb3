// Decides, once, when an image is loaded, whether it may be read without further checks.
import { imageSize, sectionCount } from "./image";
import { murmur3 } from "./murmur3";
import * as tags from "./tags";

/** Whether size bytes at image are a whole and consistent image of this version. */
export function isValidImage(image: usize, size: usize): bool {
  if (size < <usize>tags.HEADER_SIZE) return false;
  if (load<u32>(image, tags.HEADER_MAGIC) !== tags.MAGIC) return false;
  if (load<u32>(image, tags.HEADER_VERSION) !== tags.VERSION) return false;
  if (imageSize(image) !== size || size % 16 !== 0) return false;
  const checked = image + tags.HEADER_IDENTITY;
  if (murmur3(checked, size - tags.HEADER_IDENTITY, 0) !== load<u32>(image, tags.HEADER_CHECKSUM)) return false;
  return sectionCount(image, tags.SECTION_SLOTS) >= <u32>tags.FIXED_SLOTS;
}
