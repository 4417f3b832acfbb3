// The names of a snapshot's resources, numbered, so that a set of tens of thousands of them takes a bit each.
import type { ResourceMap } from "./difference.js";
import type { XdsResource } from "./snapshot.js";

/** A snapshot's names of one type, numbered in its own order. Shared; never changed. */
export interface NameOrder {
  readonly names: readonly string[];
  readonly index: ReadonlyMap<string, number>;
}

/** Bits in a word. */
export const BITS = 32;
export const NO_ORDER: NameOrder = { names: [], index: new Map() };

/** Words with a bit for each name of the order, none of them set. */
export function bitsFor({ names }: NameOrder): Uint32Array<ArrayBuffer> {
  return new Uint32Array(Math.ceil(names.length / BITS));
}

export function hasBit(bits: Uint32Array, index: number): boolean {
  return (((bits[Math.floor(index / BITS)] as number) >>> (index % BITS)) & 1) === 1;
}

/** Of a word of 32 bits, however signed. */
export function bitCount(word: number): number {
  let count = 0;
  for (let left = word; left !== 0; left &= left - 1) count++;
  return count;
}

const orders = new WeakMap<ResourceMap, NameOrder>();
/** The last ones, the newest first: snapshots one after the other mostly have the same names. */
let recent: readonly NameOrder[] = [];
const MOST_RECENT = 8;

/** Worked out once a map, and once for maps with the same names. */
export function orderOf(resources: ResourceMap): NameOrder {
  const known = orders.get(resources);
  if (known !== undefined) return known;
  const names = [...resources.keys()];
  const found = recent.find((order) => isSame(order.names, names));
  const order = found ?? { names, index: new Map(names.map((name, index) => [name, index])) };
  recent = [order, ...recent.filter((other) => other !== order)].slice(0, MOST_RECENT);
  orders.set(resources, order);
  return order;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

const values = new WeakMap<ResourceMap, readonly XdsResource[]>();

/** In the order's order. */
export function valuesOf(resources: ResourceMap): readonly XdsResource[] {
  const known = values.get(resources) ?? [...resources.values()];
  values.set(resources, known);
  return known;
}

/** The names of all lists; of one alone that list itself, so that what is known of it is found again. */
export function inOne(lists: readonly (readonly string[])[]): readonly string[] {
  const [first = []] = lists;
  return lists.length > 1 ? lists.flat() : first;
}

/** A list of names as bits of an order. */
export interface Pattern {
  readonly order: NameOrder;
  readonly bits: Uint32Array;
  readonly others: readonly string[];
}

const patterns = new WeakMap<readonly string[], Pattern>();

/** Worked out once a list that never changes, as long as it is for the same order. */
export function patternOf(names: readonly string[], order: NameOrder): Pattern {
  const known = patterns.get(names);
  if (known?.order === order) return known;
  const bits = bitsFor(order);
  const others: string[] = [];
  for (const name of names) {
    const index = order.index.get(name);
    if (index === undefined) others.push(name);
    else bits[Math.floor(index / BITS)] = (bits[Math.floor(index / BITS)] as number) | (1 << (index % BITS));
  }
  const pattern = { order, bits, others };
  patterns.set(names, pattern);
  return pattern;
}
