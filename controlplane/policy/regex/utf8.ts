// Ranges of code points -> sequences of ranges of bytes: their UTF-8 forms.
import type { Range } from "./syntax.js";

const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** Sequences of byte ranges that together hold exactly the UTF-8 forms of the code points of range. */
export function byteSequences([lo, hi]: Range): Range[][] {
  const sequences: Range[][] = [];
  let from = lo;
  for (const last of LAST_OF_LENGTH) {
    if (from > hi) break;
    if (from > last) continue;
    addSequences(encode(from), encode(Math.min(hi, last)), sequences, []);
    from = last + 1;
  }
  return sequences;
}

/** from and to have the same length; head is what comes before them. */
function addSequences(
  from: readonly number[],
  to: readonly number[],
  sequences: Range[][],
  head: readonly Range[],
): void {
  const [a = 0, ...fromRest] = from;
  const [b = 0, ...toRest] = to;
  if (fromRest.length === 0) {
    sequences.push([...head, [a, b]]);
    return;
  }
  if (a === b) {
    addSequences(fromRest, toRest, sequences, [...head, [a, b]]);
    return;
  }
  const lowest = fromRest.map(() => 0x80);
  const highest = fromRest.map(() => 0xbf);
  const startsWhole = fromRest.every((byte) => byte === 0x80);
  const endsWhole = toRest.every((byte) => byte === 0xbf);
  if (!startsWhole) addSequences(fromRest, highest, sequences, [...head, [a, a]]);
  const first = startsWhole ? a : a + 1;
  const last = endsWhole ? b : b - 1;
  if (first <= last) sequences.push([...head, [first, last], ...lowest.map((): Range => [0x80, 0xbf])]);
  if (!endsWhole) addSequences(lowest, toRest, sequences, [...head, [b, b]]);
}

/** UTF-8, for surrogates too: RE2 matches bytes and does not look for those. */
function encode(point: number): number[] {
  if (point < 0x80) return [point];
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 63)];
  if (point < 0x10000) return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
}
