// Reads a Wasm binary's sections: the custom ones, and the memory's limits, which can be lowered for a trial.

const HEADER = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
const MEMORY_SECTION = 5;
export const PAGE_BYTES = 65_536;

interface Section {
  readonly id: number;
  readonly content: Buffer;
}

/** Whether the bytes begin as a Wasm binary does. */
export function isWasm(wasm: Uint8Array): boolean {
  return HEADER.equals(Buffer.from(wasm).subarray(0, HEADER.length));
}

/** The sections in order; undefined where the binary ends within one. */
export function readSections(wasm: Uint8Array): readonly Section[] | undefined {
  const bytes = Buffer.from(wasm);
  const sections: Section[] = [];
  let at = HEADER.length;
  while (at < bytes.length) {
    const size = readNumber(bytes, at + 1);
    if (!size || size.end + size.value > bytes.length) return undefined;
    sections.push({ id: bytes[at] as number, content: bytes.subarray(size.end, size.end + size.value) });
    at = size.end + size.value;
  }
  return sections;
}

/** The first memory's size at the start, in pages; 0 without a memory of its own. */
export function initialPages(sections: readonly Section[]): number {
  const content = sections.find(({ id }) => id === MEMORY_SECTION)?.content;
  return (content && readNumber(content, 2)?.value) ?? 0;
}

/** The same module, whose memory cannot grow beyond so many pages. */
export function withMemoryLimit(sections: readonly Section[], pages: number): Buffer {
  const parts = sections.flatMap(({ id, content }) => {
    const limited = id === MEMORY_SECTION ? limitMemory(content, pages) : content;
    return [Buffer.from([id]), writeNumber(limited.length), limited];
  });
  return Buffer.concat([HEADER, ...parts]);
}

/** The module with a custom section at its end. */
export function withCustomSection(wasm: Uint8Array, name: string, content: Uint8Array): Buffer {
  const nameBytes = Buffer.from(name);
  const body = Buffer.concat([writeNumber(nameBytes.length), nameBytes, content]);
  return Buffer.concat([wasm, Buffer.from([0]), writeNumber(body.length), body]);
}

function limitMemory(content: Buffer, pages: number): Buffer {
  const flags = content[1] ?? 0;
  const least = readNumber(content, 2);
  if (!least) return content;
  const most = (flags & 1) === 1 ? readNumber(content, least.end) : undefined;
  return Buffer.concat([
    content.subarray(0, 1),
    Buffer.from([flags | 1]),
    writeNumber(least.value),
    writeNumber(Math.min(most?.value ?? pages, pages)),
    content.subarray(most?.end ?? least.end),
  ]);
}

/** An unsigned LEB128 number of 32 bits. */
function readNumber(bytes: Buffer, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return undefined;
}

function writeNumber(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}
