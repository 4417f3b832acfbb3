// Names as they lie in a request. Proxies of one view ask for the same thousands of names in the same bytes: those who do so
// within a short time share one list, which is read once, and with it what is worked out of the list.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { inOne } from "./name-order.js";
import { Recent } from "./recent.js";

/** Shorter lists are read faster than found. */
const LEAST_BYTES = 16_384;
const MOST_BYTES = 8 * 1024 * 1024;

const recent = new Recent(MOST_BYTES, {
  make: readNames,
  isSame: (a: Buffer, b: Buffer) => a.equals(b),
  sizeOf: (_, { length }) => length,
  keep: (bytes) => Buffer.from(bytes),
});

/** The names of one repeated field, which may lie in several places. */
export class NamesInBytes {
  readonly #bytes: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** None yet, of a request in these bytes, which must not change. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Takes in the name that the reader, which is on the same bytes, has come to; its tag began at `start`. Throws when there is none. */
  read(reader: BinaryReader, start: number): void {
    const length = reader.uint32();
    // As reader.skip(), which makes an array of each name.
    reader.pos += length;
    if (reader.pos > reader.len) throw new RangeError("a name ends behind the message");
    if (this.#ends.at(-1) === start) this.#ends.pop();
    else this.#starts.push(start);
    this.#ends.push(reader.pos);
  }

  list(): readonly string[] {
    return inOne(this.#starts.map((start, index) => namesOf(this.#bytes.subarray(start, this.#ends[index]))));
  }
}

function namesOf(bytes: Buffer): readonly string[] {
  return bytes.length < LEAST_BYTES ? readNames(bytes) : recent.of(bytes);
}

/** Of fields that are well-formed. */
function readNames(bytes: Buffer): readonly string[] {
  const reader = new BinaryReader(bytes);
  const names: string[] = [];
  while (reader.pos < reader.len) {
    reader.tag();
    const length = reader.uint32();
    // As reader.string(), which takes twice as long.
    names.push(bytes.toString("utf8", reader.pos, reader.pos + length));
    reader.pos += length;
  }
  return names;
}
