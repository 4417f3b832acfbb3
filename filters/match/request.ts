// What Envoy says of a request -> the slots of an image.
import { scratch } from "../abi/memory";
import * as tags from "../policy/tags";
import { addValue, isPresent } from "../policy/work";
import { slotOfName } from "./keys";

const COLON = 0x3a;
const QUESTION_MARK = 0x3f;
const AMPERSAND = 0x26;
const EQUALS = 0x3d;

/**
 * Fills the slots from all request headers: a count, then a name's and a value's length for each, then each name and
 * value, both followed by NUL. A header that comes several times has several values.
 */
export function fillFromHeaders(image: usize, needs: u32, headers: usize): void {
  const count = load<u32>(headers);
  let at = headers + 4 + 8 * count;
  for (let i: u32 = 0; i < count; i++) {
    const nameLength = load<usize>(headers + 8 * i, 4);
    const length = load<usize>(headers + 8 * i, 8);
    const value = at + nameLength + 1;
    if (load<u8>(at) === COLON) fillPseudoHeader(image, needs, at, nameLength, value, length);
    else {
      const slot = slotOfName(image, tags.HEADER_HEADER_NAMES, at, nameLength);
      if (slot !== tags.NONE) addValue(image, slot, value, length);
    }
    at = value + length + 1;
  }
}

/** Fills the slots that depend on :path; Envoy has normalised it. What follows "?" or "#" is no part of the path. */
export function fillPath(image: usize, needs: u32, value: usize, length: usize): void {
  let end: usize = 0;
  while (end < length && load<u8>(value + end) !== QUESTION_MARK && load<u8>(value + end) !== 0x23) end++;
  addValue(image, tags.SLOT_PATH, value, end);
  if (needs & tags.NEEDS_LOWER_PATH) addValue(image, tags.SLOT_PATH_LOWER, lowerCase(value, end), end);
  if (needs & tags.NEEDS_QUERY && end < length && load<u8>(value + end) === QUESTION_MARK)
    fillQuery(image, value + end + 1, value + length);
}

function fillPseudoHeader(image: usize, needs: u32, name: usize, nameLength: usize, value: usize, length: usize): void {
  if (nameLength === 5) fillPath(image, needs, value, length);
  else if (nameLength === 10) {
    if (needs & tags.NEEDS_AUTHORITY) fillAuthority(image, value, length);
  } else if (nameLength === 7)
    addValue(image, load<u8>(name, 1) === 0x6d ? tags.SLOT_METHOD : tags.SLOT_SCHEME, value, length);
}

/** Hosts know no case; a port or trailing dot that Envoy was not told to strip is no part of the name. */
function fillAuthority(image: usize, value: usize, length: usize): void {
  let end = length;
  while (end > 0 && isDigit(load<u8>(value + end - 1))) end--;
  if (end === 0 || load<u8>(value + end - 1) !== COLON) end = length;
  else end--;
  if (end > 0 && load<u8>(value + end - 1) === 0x2e) end--;
  addValue(image, tags.SLOT_AUTHORITY, lowerCase(value, end), end);
}

function isDigit(byte: u8): bool {
  return byte - 0x30 < 10;
}

/** A parameter that comes several times counts with its first value; nothing is decoded: as Envoy's matcher has it. */
function fillQuery(image: usize, start: usize, end: usize): void {
  for (let at = start; at < end; at++) {
    let nameEnd = at;
    while (nameEnd < end && load<u8>(nameEnd) !== AMPERSAND && load<u8>(nameEnd) !== EQUALS) nameEnd++;
    let next = nameEnd;
    while (next < end && load<u8>(next) !== AMPERSAND) next++;
    const slot = slotOfName(image, tags.HEADER_QUERY_NAMES, at, nameEnd - at);
    if (slot !== tags.NONE && !isPresent(image, slot)) {
      const value = min(nameEnd + 1, next);
      addValue(image, slot, value, next - value);
    }
    at = next;
  }
}

/** The bytes in lower case, ASCII letters only, in scratch. */
function lowerCase(value: usize, length: usize): usize {
  const copy = scratch(length);
  for (let i: usize = 0; i < length; i++) {
    const byte = load<u8>(value + i);
    store<u8>(copy + i, byte - 0x41 < 26 ? byte | 0x20 : byte);
  }
  return copy;
}
