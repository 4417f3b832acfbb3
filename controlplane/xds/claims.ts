// What a client that comes back says it holds. It is left in the bytes of its request: nearly all of it is what the snapshot
// has, which shows by comparing bytes, in whatever order; names and versions are read of the rest alone.
import { type BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { ResourceMap } from "./difference.js";
import { decodeEntry, ENTRY, entriesOf } from "./entries.js";
import { partsOf } from "./joined-resources.js";

export type Claim = readonly [name: string, version: string];

/** What sets claims apart from resources. */
export interface Comparison {
  /** Claims that are not written as the shared resources' entries are. */
  readonly differing: readonly Claim[];
  /** Names of resources whose entry is not among the claims, and of all that are not shared. */
  readonly absent: readonly string[];
}

/** The entries of one request's initial_resource_versions. */
export class Claims implements Iterable<Claim> {
  readonly #bytes: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #shortestName = Number.POSITIVE_INFINITY;
  #longestName = 0;

  /** None yet, of a request in these bytes, which must not change. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many entries there are; a name may have several, of which the last counts. */
  get size(): number {
    return this.#starts.length;
  }

  /** Takes in the entry that the reader, which is on the same bytes, has come to. Throws when it is none. */
  read(reader: BinaryReader): void {
    const length = reader.uint32();
    const start = reader.pos;
    const end = start + length;
    if (end > reader.len) throw new RangeError("a map entry ends behind the message");
    let name = 0;
    while (reader.pos < end) {
      const [field, wireType] = reader.tag();
      if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
      else {
        const size = reader.uint32();
        reader.pos += size;
        if (field === ENTRY.key) name = size;
      }
    }
    if (reader.pos !== end) throw new RangeError("a map entry's field ends behind the entry");
    this.#starts.push(start);
    this.#ends.push(end);
    this.#shortestName = Math.min(this.#shortestName, name);
    this.#longestName = Math.max(this.#longestName, name);
  }

  against(resources: ResourceMap): Comparison {
    const { shared, own } = partsOf(resources);
    const entries = entriesOf(shared);
    const isClaimed = new Uint8Array(entries.names.length);
    const differing: Claim[] = [];
    for (let index = 0; index < this.size; index++) {
      const number = entries.find(this.#bytes, this.#starts[index] as number, this.#ends[index] as number);
      if (number === undefined) differing.push(this.#claim(index));
      else isClaimed[number] = 1;
    }
    return { differing, absent: [...entries.names.filter((_, number) => isClaimed[number] === 0), ...own.keys()] };
  }

  /** All names if one of them is empty or may be longer than so many UTF-16 units, else none. */
  suspectNames(units: number): string[] {
    // A name has at most as many units as bytes.
    if (this.#shortestName > 0 && this.#longestName <= units) return [];
    return [...this].map(([name]) => name);
  }

  *[Symbol.iterator](): Generator<Claim> {
    for (let index = 0; index < this.size; index++) yield this.#claim(index);
  }

  #claim(index: number): Claim {
    return decodeEntry(this.#bytes.subarray(this.#starts[index], this.#ends[index]));
  }
}
