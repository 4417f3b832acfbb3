// The resources of a snapshot as clients name them: each one's entry in initial_resource_versions, to be found by its bytes.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ResourceMap } from "./difference.js";

/** The field numbers of a protobuf map's entries. */
export const ENTRY = { key: 1, value: 2 } as const;

const HASHED_BYTES = 4;
const HASH_FACTOR = 0x9e3779b1;
const NOTHING = -1;

const known = new WeakMap<ResourceMap, Entries>();

/** Worked out once a map. */
export function entriesOf(resources: ResourceMap): Entries {
  const found = known.get(resources) ?? new Entries(resources);
  known.set(resources, found);
  return found;
}

/** Numbers the resources in the map's order. */
export class Entries {
  readonly names: readonly string[];
  /** All entries, one behind the other; where each starts, and the end of the last. */
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  /** Numbers by hash; who finds a place taken takes the next one. At least half of the places are free. */
  readonly #table: Int32Array;
  readonly #shift: number;

  constructor(resources: ResourceMap) {
    this.names = [...resources.keys()];
    const bits = Math.ceil(Math.log2(Math.max(resources.size, 1))) + 1;
    this.#shift = 32 - bits;
    this.#table = new Int32Array(2 ** bits).fill(NOTHING);
    this.#starts = new Int32Array(resources.size + 1);
    const encoded = [...resources.values()].map(({ name, version }) => encodeEntry(name, version));
    this.#bytes = Buffer.concat(encoded);
    for (const [number, { length }] of encoded.entries()) this.#insert(number, length);
  }

  /** The number of the resource whose entry lies there; undefined when there is none, or it is written otherwise. */
  find(bytes: Uint8Array, start: number, end: number): number | undefined {
    const length = end - start;
    for (let place = this.#placeOf(bytes, end); ; place = this.#after(place)) {
      const number = this.#table[place] as number;
      if (number === NOTHING) return undefined;
      const from = this.#starts[number] as number;
      if ((this.#starts[number + 1] as number) - from === length && isSame(this.#bytes, from, bytes, start, length)) {
        return number;
      }
    }
  }

  #insert(number: number, length: number): void {
    const end = (this.#starts[number] as number) + length;
    this.#starts[number + 1] = end;
    let place = this.#placeOf(this.#bytes, end);
    while (this.#table[place] !== NOTHING) place = this.#after(place);
    this.#table[place] = number;
  }

  /** By the end of the entry, which is that of the version: a hash itself. */
  #placeOf(bytes: Uint8Array, end: number): number {
    let word = 0;
    for (let at = end - HASHED_BYTES; at < end; at++) word = (word << 8) | (bytes[at] as number);
    return Math.imul(word, HASH_FACTOR) >>> this.#shift;
  }

  #after(place: number): number {
    return place + 1 === this.#table.length ? 0 : place + 1;
  }
}

function encodeEntry(name: string, version: string): Uint8Array {
  return new BinaryWriter()
    .tag(ENTRY.key, WireType.LengthDelimited)
    .string(name)
    .tag(ENTRY.value, WireType.LengthDelimited)
    .string(version)
    .finish();
}

/** Of an entry that is well-formed. What an entry leaves out is empty. */
export function decodeEntry(bytes: Uint8Array): readonly [name: string, version: string] {
  const reader = new BinaryReader(bytes);
  let [name, version] = ["", ""];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else if (field === ENTRY.key) name = reader.string();
    else if (field === ENTRY.value) version = reader.string();
    else reader.skip(wireType, field);
  }
  return [name, version];
}

function isSame(a: Uint8Array, from: number, b: Uint8Array, start: number, length: number): boolean {
  for (let offset = 0; offset < length; offset++) if (a[from + offset] !== b[start + offset]) return false;
  return true;
}
