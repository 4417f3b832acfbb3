// Remembers where in a file each field of a document stands, small enough to be kept for every object that is served;
// the tables lie in memory that threads share, so passing them on copies nothing.
import type { FieldPath } from "../resources/resource.js";
import type { Position } from "../resources/violation.js";

/**
 * The fields of one document, as a hash table with open addressing from the fingerprint of a field's path to the
 * field's offset. Two paths of one document share a 53-bit fingerprint so rarely that a wrong line number is all that
 * could ever come of it.
 */
export interface Positions {
  readonly file: string;
  /** The offset at which each line begins; shared by all documents of a file. */
  readonly lineStarts: Uint32Array;
  /** 0 marks an empty place. The length is a power of 2. */
  readonly fingerprints: Float64Array;
  readonly offsets: Uint32Array;
}

/** A path's fingerprint while it is extended step by step: two 32-bit lanes. */
export interface PathHash {
  readonly high: number;
  readonly low: number;
}

export const ROOT: PathHash = { high: 0x2545f491, low: 0x4f6cdd1d };

/** The hash of a path that is one step longer. */
export function extendHash({ high, low }: PathHash, step: string | number): PathHash {
  if (typeof step === "number") return mix(high ^ 0x5bd1e995, low, step + 1);
  let hash: PathHash = { high, low };
  for (let index = 0; index < step.length; index++) hash = mix(hash.high, hash.low, step.charCodeAt(index));
  return mix(hash.high, hash.low, 0x10000);
}

function mix(high: number, low: number, value: number): PathHash {
  const first = Math.imul(high ^ value, 0x9e3779b1);
  const second = Math.imul(low ^ value, 0x85ebca77);
  return { high: first ^ (second >>> 15), low: second ^ (first >>> 13) };
}

/** 53 bits, never 0. */
function fingerprint({ high, low }: PathHash): number {
  return (high & 0x1fffff) * 0x100000000 + (low >>> 0) || 1;
}

/** The table of where lines begin. */
export function shareLineStarts(starts: readonly number[]): Uint32Array {
  const shared = new Uint32Array(new SharedArrayBuffer(starts.length * Uint32Array.BYTES_PER_ELEMENT));
  shared.set(starts);
  return shared;
}

/** Collects a document's fields. */
export class PositionRecorder {
  private readonly fingerprints: number[] = [];
  private readonly offsets: number[] = [];

  record(path: PathHash, offset: number): void {
    this.fingerprints.push(fingerprint(path));
    this.offsets.push(offset);
  }

  finish(file: string, lineStarts: Uint32Array): Positions {
    let size = 4;
    while (size < this.offsets.length * 2) size *= 2;
    const positions = {
      file,
      lineStarts,
      fingerprints: new Float64Array(new SharedArrayBuffer(size * Float64Array.BYTES_PER_ELEMENT)),
      offsets: new Uint32Array(new SharedArrayBuffer(size * Uint32Array.BYTES_PER_ELEMENT)),
    };
    for (const [index, print] of this.fingerprints.entries()) {
      const place = placeOf(positions.fingerprints, print);
      positions.fingerprints[place] = print;
      positions.offsets[place] = this.offsets[index] as number;
    }
    return positions;
  }
}

/** Those of an object that stands in no file. */
export const NO_POSITIONS: Positions = new PositionRecorder().finish("", shareLineStarts([]));

/** Where a fingerprint stands in the table, or the empty place where it would. */
function placeOf(table: Float64Array, print: number): number {
  const last = table.length - 1;
  let place = print & last;
  while (table[place] !== 0 && table[place] !== print) place = (place + 1) & last;
  return place;
}

/** Where the field, or its nearest ancestor that exists, stands; the key of a field, the beginning of a list's entry. */
export function locateIn(positions: Positions, path: FieldPath): Position | undefined {
  const prints: number[] = [fingerprint(ROOT)];
  let hash = ROOT;
  for (const step of path) {
    hash = extendHash(hash, step);
    prints.push(fingerprint(hash));
  }
  for (const print of prints.reverse()) {
    const place = placeOf(positions.fingerprints, print);
    if (positions.fingerprints[place] !== 0)
      return positionAt(positions.file, positions.lineStarts, positions.offsets[place] as number);
  }
  return undefined;
}

/** The line and column, from 1, of an offset into a text whose lines begin at `lineStarts`. */
export function positionAt(file: string, lineStarts: Uint32Array, offset: number): Position {
  let [low, high] = [0, lineStarts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((lineStarts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return { file, line: low + 1, column: offset - (lineStarts[low] ?? 0) + 1 };
}
