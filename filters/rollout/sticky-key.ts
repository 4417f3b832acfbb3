// What keeps a user with one destination: the value of a header, query parameter or cookie, or the client's address.
import { record } from "../policy/image";
import * as tags from "../policy/tags";
import { isPresent, nextValue, VALUE_LENGTH, VALUE_POINTER, valueOf } from "../policy/work";

const SEMICOLON = 0x3b;
const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const EQUALS = 0x3d;
const COLON = 0x3a;

let start: usize = 0;
let length: usize = 0;

/** Where the key that findKey found lies. */
export function keyStart(): usize {
  return start;
}

export function keyLength(): usize {
  return length;
}

/** Whether the request has the rollout's key. address: the client's, with its port; of use for that kind of key only. */
export function findKey(image: usize, rollout: usize, address: usize, addressLength: usize): bool {
  const kind = load<u32>(rollout, tags.ROLLOUT_KEY);
  if (kind === tags.STICKY_SOURCE_ADDRESS) return findAddress(address, addressLength);
  const slot = load<u32>(rollout, tags.ROLLOUT_KEY_SLOT);
  if (kind === tags.STICKY_NONE || !isPresent(image, slot)) return false;
  for (let value = valueOf(image, slot); value !== 0; value = nextValue(value)) {
    start = load<usize>(value, VALUE_POINTER);
    length = load<usize>(value, VALUE_LENGTH);
    if (kind === tags.STICKY_SLOT || findCookie(image, rollout, start, start + length)) return true;
  }
  return false;
}

/** The address without its port, which follows the last colon. */
function findAddress(address: usize, addressLength: usize): bool {
  start = address;
  length = addressLength;
  while (length > 0 && load<u8>(start + length - 1) !== COLON) length--;
  if (length > 0) length--;
  return length > 0;
}

/** The first cookie of the name that the rollout asks for, without the spaces and quotes around its value. */
function findCookie(image: usize, rollout: usize, at: usize, end: usize): bool {
  const name = record(image, tags.SECTION_BYTES, load<u32>(rollout, tags.ROLLOUT_COOKIE), 1);
  const nameLength = load<usize>(rollout, tags.ROLLOUT_COOKIE_LENGTH);
  while (at < end) {
    let next = at;
    while (next < end && load<u8>(next) !== SEMICOLON) next++;
    while (at < next && isBlank(load<u8>(at))) at++;
    const value = at + nameLength;
    if (value < next && load<u8>(value) === EQUALS && memory.compare(at, name, nameLength) === 0) {
      trim(value + 1, next);
      return true;
    }
    at = next + 1;
  }
  return false;
}

function trim(from: usize, to: usize): void {
  while (from < to && isBlank(load<u8>(from))) from++;
  while (from < to && isBlank(load<u8>(to - 1))) to--;
  if (to - from >= 2 && load<u8>(from) === QUOTE && load<u8>(to - 1) === QUOTE) {
    from++;
    to--;
  }
  start = from;
  length = to - from;
}

function isBlank(byte: u8): bool {
  return byte === SPACE || byte === TAB;
}
