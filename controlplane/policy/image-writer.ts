// Writes the policy image: sections of fixed-size records behind a header and a directory.
import { createHash } from "node:crypto";
import * as tags from "../../filters/policy/tags.js";
import { murmur3 } from "./murmur3.js";

/** Records of a fixed number of 32-bit words, in the order they were added. */
export class Records {
  private words = new Int32Array(32);
  private length = 0;

  /** stride: bytes of a record, a multiple of 4. */
  constructor(private readonly stride: number) {}

  get count(): number {
    return (this.length * 4) / this.stride;
  }

  /** Adds one record and returns its index. */
  add(...record: readonly number[]): number {
    if (record.length * 4 !== this.stride)
      throw new Error(`a record of ${this.stride} bytes has ${record.length} words`);
    const index = this.count;
    this.reserve(record.length);
    this.length += record.length;
    this.set(index, ...record);
    return index;
  }

  /** Adds size records that all hold NONE (a hash table's empty slots) and returns the index of the first. */
  addEmpty(size: number): number {
    const first = this.count;
    const length = (size * this.stride) / 4;
    this.reserve(length);
    this.words.fill(tags.NONE, this.length, this.length + length);
    this.length += length;
    return first;
  }

  /** Words of 32 bits, signed or not. */
  set(index: number, ...record: readonly number[]): void {
    const start = (index * this.stride) / 4;
    for (let i = 0; i < record.length; i++) this.words[start + i] = record[i] as number;
  }

  encode(): Uint8Array {
    return new Uint8Array(this.words.buffer, 0, this.length * 4);
  }

  private reserve(length: number): void {
    if (this.length + length <= this.words.length) return;
    const larger = new Int32Array(2 * (this.length + length));
    larger.set(this.words);
    this.words = larger;
  }
}

/** Byte strings, each kept once. */
export class Bytes {
  private readonly chunks: Uint8Array[] = [];
  private readonly offsets = new Map<string, number>();
  private length = 0;

  get count(): number {
    return this.length;
  }

  /** Adds the bytes and returns their offset within the section. */
  add(bytes: Uint8Array): number {
    const identity = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const known = this.offsets.get(identity);
    if (known !== undefined) return known;
    const offset = this.length;
    this.offsets.set(identity, offset);
    this.chunks.push(bytes);
    this.length += bytes.length;
    return offset;
  }

  encode(): Uint8Array {
    return Buffer.concat(this.chunks);
  }
}

/** State tables of 16-bit words. */
export class Transitions {
  private readonly words: number[] = [];

  get count(): number {
    return this.words.length;
  }

  add(words: Uint16Array): number {
    const first = this.words.length;
    for (const word of words) this.words.push(word);
    return first;
  }

  encode(): Uint8Array {
    return new Uint8Array(Uint16Array.from(this.words).buffer);
  }
}

export interface ImageSection {
  readonly count: number;
  encode(): Uint8Array;
}

/** One hash table's first record and size. */
export interface TableRange {
  readonly start: number;
  readonly size: number;
}

export interface ImageHeader {
  readonly needs: number;
  readonly headerNames: TableRange;
  readonly queryNames: TableRange;
}

/** The whole image, and its identity in hexadecimal. sections are in the order of tags.SECTION_*. */
export function encodeImage(
  header: ImageHeader,
  sections: readonly ImageSection[],
): { readonly image: Uint8Array; readonly hash: string } {
  const encoded = sections.map((section) => section.encode());
  const offsets: number[] = [];
  let size = tags.HEADER_SIZE;
  for (const bytes of encoded) {
    offsets.push(size);
    size += (bytes.length + 3) & ~3;
  }
  size = (size + 15) & ~15;
  const image = new Uint8Array(size);
  const view = new DataView(image.buffer);
  const word = (offset: number, value: number) => view.setUint32(offset, value, true);
  word(tags.HEADER_MAGIC, tags.MAGIC);
  word(tags.HEADER_VERSION, tags.VERSION);
  word(tags.HEADER_SIZE_OF_IMAGE, size);
  word(tags.HEADER_NEEDS, header.needs);
  for (const [offset, range] of [
    [tags.HEADER_HEADER_NAMES, header.headerNames],
    [tags.HEADER_QUERY_NAMES, header.queryNames],
  ] as const) {
    word(offset, range.start);
    word(offset + 4, range.size);
  }
  for (const [i, bytes] of encoded.entries()) {
    word(tags.HEADER_DIRECTORY + 8 * i, offsets[i] as number);
    word(tags.HEADER_DIRECTORY + 8 * i + 4, (sections[i] as ImageSection).count);
    image.set(bytes, offsets[i]);
  }
  const identity = createHash("sha256").update(image.subarray(tags.HEADER_NEEDS)).digest();
  image.set(identity.subarray(0, tags.IDENTITY_LENGTH), tags.HEADER_IDENTITY);
  word(tags.HEADER_CHECKSUM, murmur3(image.subarray(tags.HEADER_IDENTITY)));
  return { image, hash: identity.toString("hex", 0, tags.IDENTITY_LENGTH) };
}
