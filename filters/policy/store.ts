// The loaded images, found by identity: kept within bounds, the longest unused going first, and moved together when
// some have gone, so that the VM's memory stays flat however many policies come and go.
import { endOfKept, KEPT_START, keepUpTo } from "../abi/memory";
import { isValidImage } from "./check";
import { HEADER_IDENTITY, IDENTITY_LENGTH } from "./tags";
import { workSize } from "./work";

/** More bytes than this are never kept. */
const MOST_BYTES: usize = 64 << 20;
/** From here on, what went unused for a while is dropped whenever an image comes in. */
const AMPLE_BYTES: usize = 4 << 20;
const A_WHILE: u64 = 10_000_000_000;
const MOST_BLOCKS: u32 = 6144;
/** Spreads the digits over the index; in halves, because a whole one is no number that JavaScript's tools can read. */
const SPREAD: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;
const INDEX_SIZE: usize = 8192;
const INDEX: usize = memory.data(32768, 16);

// A block: the identity as 32 hexadecimal digits, its last use, its size, whether it was refused; then image and work.
const BLOCK_LAST_USE: usize = 32;
const BLOCK_SIZE: usize = 40;
const BLOCK_REFUSED: usize = 44;
const BLOCK_HEADER: usize = 48;
export const DIGITS: usize = 32;

let blocks: u32 = 0;
let uses: u64 = 0;
let epoch: u64 = 0;
/** The number of uses when this epoch and the one before it began. */
let usesAtEpoch: u64 = 0;
let usesBefore: u64 = 0;

/** What is known of an identity: an image's address, UNKNOWN or REFUSED. */
export const UNKNOWN: usize = 0;
export const REFUSED: usize = 1;

export function findImage(digits: usize): usize {
  for (let place = placeOf(digits); ; place = (place + 1) & (INDEX_SIZE - 1)) {
    const block = load<usize>(INDEX + 4 * place);
    if (block === 0) return UNKNOWN;
    if (!sameDigits(block, digits)) continue;
    store<u64>(block, ++uses, BLOCK_LAST_USE);
    return load<u32>(block, BLOCK_REFUSED) ? REFUSED : block + BLOCK_HEADER;
  }
}

/**
 * Takes in an image that lies in scratch; it and digits may be overwritten by that. Returns its address, or REFUSED,
 * which is remembered. now: nanoseconds.
 */
export function keepImage(digits: usize, image: usize, size: usize, now: u64): usize {
  const a = load<u64>(digits);
  const b = load<u64>(digits, 8);
  const c = load<u64>(digits, 16);
  const d = load<u64>(digits, 24);
  const valid = size <= MOST_BYTES / 2 && isValidImage(image, size) && isNamed(image, digits);
  const work = valid ? workSize(image) : 0;
  const length = (BLOCK_HEADER + (valid ? size : 0) + work + 15) & ~15;
  makeRoom(length, now);
  const block = endOfKept();
  if (!keepUpTo(block + length)) unreachable();
  if (valid) {
    memory.copy(block + BLOCK_HEADER, image, size);
    memory.fill(block + BLOCK_HEADER + size, 0, work);
  }
  store<u64>(block, a);
  store<u64>(block, b, 8);
  store<u64>(block, c, 16);
  store<u64>(block, d, 24);
  store<u64>(block, ++uses, BLOCK_LAST_USE);
  store<u32>(block, <u32>length, BLOCK_SIZE);
  store<u32>(block, valid ? 0 : 1, BLOCK_REFUSED);
  addToIndex(block);
  return valid ? block + BLOCK_HEADER : REFUSED;
}

/** Whether digits are the identity that the image says it has. */
function isNamed(image: usize, digits: usize): bool {
  for (let i: usize = 0; i < <usize>IDENTITY_LENGTH; i++) {
    const byte = load<u8>(image + i, HEADER_IDENTITY);
    if (load<u8>(digits + 2 * i) !== digit(byte >> 4) || load<u8>(digits + 2 * i, 1) !== digit(byte & 15)) return false;
  }
  return true;
}

function digit(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Drops what has gone unused when room is ample no more, and what was used longest ago when there is none. */
function makeRoom(length: usize, now: u64): void {
  if (now - epoch >= A_WHILE) {
    usesBefore = usesAtEpoch;
    usesAtEpoch = uses;
    epoch = now;
  }
  const kept = endOfKept() - KEPT_START;
  if (kept + length > AMPLE_BYTES) dropOlderThan(usesBefore);
  while (endOfKept() - KEPT_START + length > MOST_BYTES || blocks === MOST_BLOCKS) dropOlderThan(median());
}

/** A last use that about half of the blocks are older than. */
function median(): u64 {
  let low: u64 = 0;
  let high = uses + 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (countOlderThan(middle) * 2 > blocks) high = middle;
    else low = middle;
  }
  return high;
}

function countOlderThan(use: u64): u32 {
  let older: u32 = 0;
  for (let block = KEPT_START; block < endOfKept(); block += load<u32>(block, BLOCK_SIZE))
    if (load<u64>(block, BLOCK_LAST_USE) < use) older++;
  return older;
}

/** Drops blocks last used before a use, moves the others together and finds them anew. */
function dropOlderThan(use: u64): void {
  memory.fill(INDEX, 0, 4 * INDEX_SIZE);
  blocks = 0;
  let to = KEPT_START;
  const end = endOfKept();
  for (let block = KEPT_START, size: usize = 0; block < end; block += size) {
    size = load<u32>(block, BLOCK_SIZE);
    if (load<u64>(block, BLOCK_LAST_USE) < use) continue;
    if (to !== block) memory.copy(to, block, size);
    addToIndex(to);
    to += size;
  }
  keepUpTo(to);
}

function addToIndex(block: usize): void {
  let place = placeOf(block);
  while (load<usize>(INDEX + 4 * place) !== 0) place = (place + 1) & (INDEX_SIZE - 1);
  store<usize>(INDEX + 4 * place, block);
  blocks++;
}

function placeOf(digits: usize): usize {
  return <usize>((load<u64>(digits) * SPREAD) >> 51);
}

function sameDigits(a: usize, b: usize): bool {
  return (
    load<u64>(a) === load<u64>(b) &&
    load<u64>(a, 8) === load<u64>(b, 8) &&
    load<u64>(a, 16) === load<u64>(b, 16) &&
    load<u64>(a, 24) === load<u64>(b, 24)
  );
}
