// Lists of names that several clients send in the same bytes are one list, and no others are.
import { expect, test } from "vitest";
import { sharedNames } from "../../controlplane/xds/recent-names.js";

const bytesOf = (names: readonly string[]) => Buffer.from(names.join("\n"));
const long = (prefix: string, count = 2_000) => Array.from({ length: count }, (_, index) => `${prefix}-name-${index}`);

test("the same bytes give the same list, though the buffer they came in is used for something else since", () => {
  const buffer = bytesOf(long("a"));
  const first = sharedNames(buffer, long("a"));
  buffer.fill(0);
  expect(sharedNames(bytesOf(long("a")), long("a"))).toBe(first);
  expect(sharedNames(bytesOf(long("b")), long("b"))).toEqual(long("b"));
});

test("short lists are left alone", () => {
  const [one, other] = [["a"], ["a"]];
  expect(sharedNames(bytesOf(one), one)).toBe(one);
  expect(sharedNames(bytesOf(other), other)).toBe(other);
});

test("what came long ago makes room", () => {
  const first = sharedNames(bytesOf(long("first")), long("first"));
  for (let i = 0; i < 9; i++) sharedNames(Buffer.alloc(1024 * 1024, i), []);
  expect(sharedNames(bytesOf(long("first")), long("first"))).not.toBe(first);
});
