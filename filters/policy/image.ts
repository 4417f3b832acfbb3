// Reads a policy image where it lies. The image was checked as a whole when it was loaded; nothing is checked here.
import * as tags from "./tags";

/** The first record of a section. */
export function section(image: usize, id: u32): usize {
  return image + load<u32>(image + tags.HEADER_DIRECTORY + 8 * id);
}

export function sectionCount(image: usize, id: u32): u32 {
  return load<u32>(image + tags.HEADER_DIRECTORY + 8 * id + 4);
}

export function record(image: usize, id: u32, index: u32, stride: u32): usize {
  return section(image, id) + index * stride;
}

export function imageSize(image: usize): usize {
  return load<u32>(image, tags.HEADER_SIZE_OF_IMAGE);
}
