// Names as clients write them: long lists in the same bytes are one list, and no others are.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { NamesInBytes } from "../../controlplane/xds/names-in-bytes.js";

const FIELD = 3;
const OTHER = 5;
const long = (prefix: string, count = 2_000) => Array.from({ length: count }, (_, index) => `${prefix}-näme-${index}`);

function bytesOf(names: readonly string[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const name of names) writer.tag(FIELD, WireType.LengthDelimited).string(name);
  return writer.finish();
}

function read(bytes: Uint8Array): readonly string[] {
  const reader = new BinaryReader(bytes);
  const names = new NamesInBytes(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    if (field === FIELD) names.read(reader, start);
    else reader.skip(wireType);
  }
  return names.list();
}

test("the same bytes give the same list, though the buffer they came in is used for something else since", () => {
  const bytes = bytesOf(long("a"));
  const first = read(bytes);
  expect(first).toEqual(long("a"));
  bytes.fill(0);
  expect(read(bytesOf(long("a")))).toBe(first);
  expect(read(bytesOf(long("b")))).toEqual(long("b"));
});

test("short lists are left alone, and none is empty", () => {
  expect(read(bytesOf(["a", ""]))).toEqual(["a", ""]);
  expect(read(bytesOf(["a"]))).not.toBe(read(bytesOf(["a"])));
  expect(read(bytesOf([]))).toEqual([]);
});

test("what came long ago makes room", () => {
  const first = read(bytesOf(long("first")));
  for (let i = 0; i < 9; i++) read(bytesOf(["x".repeat(1024 * 1024), `${i}`]));
  const again = read(bytesOf(long("first")));
  expect(again).toEqual(first);
  expect(again).not.toBe(first);
});

test("names that do not lie together are read in their order", () => {
  const other = new BinaryWriter().tag(OTHER, WireType.LengthDelimited).string("something else").finish();
  const pieces = [bytesOf(long("a")), other, bytesOf(["b"]), other, bytesOf(long("c"))];
  expect(read(Buffer.concat(pieces))).toEqual([...long("a"), "b", ...long("c")]);
});

test("a name that ends behind the bytes is refused", () => {
  expect(() => read(bytesOf(["abc"]).subarray(0, 4))).toThrow();
});
