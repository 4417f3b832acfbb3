// Names that a stream keeps by the tens of thousands, at little cost: most are those of a snapshot, which all streams
// share, and take a bit each.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import type { XdsResource } from "./snapshot.js";

/** A snapshot's names of one type, numbered in its own order. Shared; never changed. */
interface Order {
  readonly names: readonly string[];
  readonly index: ReadonlyMap<string, number>;
}

/** Fewer are not worth the numbers. */
const LEAST = 256;
const BITS = 32;
const NOTHING: Order = { names: [], index: new Map() };

const orders = new WeakMap<ResourceMap, Order>();
/** The last ones, the newest first: snapshots one after the other mostly have the same names. */
let recent: readonly Order[] = [];
const MOST_RECENT = 8;

/** In the order's order. */
const values = new WeakMap<ResourceMap, readonly XdsResource[]>();

function valuesOf(resources: ResourceMap): readonly XdsResource[] {
  const known = values.get(resources) ?? [...resources.values()];
  values.set(resources, known);
  return known;
}

/** A list of names as bits of an order. */
interface Pattern {
  readonly order: Order;
  readonly bits: Uint32Array;
  readonly others: readonly string[];
}

const patterns = new WeakMap<readonly string[], Pattern>();

/** Worked out once a list, as long as it is for the same order. */
function patternOf(names: readonly string[], order: Order): Pattern {
  const known = patterns.get(names);
  if (known?.order === order) return known;
  const bits = new Uint32Array(Math.ceil(order.names.length / BITS));
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

/** Of a word of 32 bits, however signed. */
function bitCount(word: number): number {
  let count = 0;
  for (let left = word; left !== 0; left &= left - 1) count++;
  return count;
}

/** Worked out once a map, and once for maps with the same names. */
export function orderOf(resources: ResourceMap): Order {
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

/** A set of names. Iterates as a Set does, though in an order of its own: what is deleted meanwhile does not come. */
export class Names implements Iterable<string> {
  #order = NOTHING;
  /** One for each name of the order. */
  #bits = new Uint32Array(0);
  #inOrder = 0;
  readonly #others = new Set<string>();

  get size(): number {
    return this.#inOrder + this.#others.size;
  }

  /** So many names are about to be added: if the set is empty and they are many, those of these resources take a bit. */
  follow(resources: ResourceMap, count: number): void {
    if (this.size > 0 || count < LEAST) return;
    this.#order = orderOf(partsOf(resources).shared);
    this.#bits = new Uint32Array(Math.ceil(this.#order.names.length / BITS));
  }

  has(name: string): boolean {
    const index = this.#order.index.get(name);
    return index === undefined ? this.#others.has(name) : this.#isSet(index);
  }

  add(name: string): this {
    const index = this.#order.index.get(name);
    if (index === undefined) this.#others.add(name);
    else if (!this.#isSet(index)) this.#flip(index, 1);
    return this;
  }

  /** Adds a list that never changes: at little cost where another set has been given the same one. */
  addAll(names: readonly string[]): void {
    if (names.length < LEAST) for (const name of names) this.add(name);
    else {
      const { bits, others } = patternOf(names, this.#order);
      this.#turn((word) => (bits[word] as number) & ~(this.#bits[word] as number), 1);
      for (const name of others) this.#others.add(name);
    }
  }

  deleteAll(names: Names): void {
    if (names.#order !== this.#order) for (const name of names) this.delete(name);
    else {
      this.#turn((word) => (names.#bits[word] as number) & (this.#bits[word] as number), -1);
      for (const name of names.#others) this.#others.delete(name);
    }
  }

  delete(name: string): boolean {
    const index = this.#order.index.get(name);
    if (index === undefined) return this.#others.delete(name);
    if (!this.#isSet(index)) return false;
    this.#flip(index, -1);
    return true;
  }

  clear(): void {
    this.#bits.fill(0);
    this.#inOrder = 0;
    this.#others.clear();
  }

  *[Symbol.iterator](): Iterator<string> {
    const { names } = this.#order;
    for (let word = 0; word < this.#bits.length && this.#inOrder > 0; word++) {
      for (let bit = 0; this.#bits[word] !== 0 && bit < BITS; bit++) {
        const index = word * BITS + bit;
        if (this.#isSet(index)) yield names[index] as string;
      }
    }
    yield* this.#others;
  }

  /** Takes the names out one by one, as they come, each with what these resources have of it. */
  *drain(resources: ResourceMap): Generator<readonly [string, XdsResource | undefined]> {
    const { names } = this.#order;
    const { shared } = partsOf(resources);
    // In order there is nothing to look up.
    const inOrder = this.#inOrder >= LEAST && orderOf(shared) === this.#order ? valuesOf(shared) : undefined;
    for (let word = 0; word < this.#bits.length && this.#inOrder > 0; word++) {
      for (let bit = 0; this.#bits[word] !== 0 && bit < BITS; bit++) {
        const index = word * BITS + bit;
        if (!this.#isSet(index)) continue;
        this.#flip(index, -1);
        const name = names[index] as string;
        yield [name, inOrder ? inOrder[index] : resources.get(name)];
      }
    }
    for (const name of this.#others) {
      this.#others.delete(name);
      yield [name, resources.get(name)];
    }
  }

  keys(): Iterable<string> {
    return this;
  }

  /** The set at this moment; one list for all who have the same whole snapshot. */
  list(): readonly string[] {
    const { names } = this.#order;
    return this.#others.size === 0 && this.#inOrder === names.length ? names : [...this];
  }

  #isSet(index: number): boolean {
    return (((this.#bits[Math.floor(index / BITS)] as number) >>> (index % BITS)) & 1) === 1;
  }

  /** Turns bits over, by word; each of them counts for one more or less. */
  #turn(bitsOf: (word: number) => number, more: 1 | -1): void {
    for (let word = 0; word < this.#bits.length; word++) {
      const turned = bitsOf(word);
      if (turned === 0) continue;
      this.#bits[word] = (this.#bits[word] as number) ^ turned;
      this.#inOrder += more * bitCount(turned);
    }
  }

  #flip(index: number, more: 1 | -1): void {
    const word = Math.floor(index / BITS);
    this.#bits[word] = (this.#bits[word] as number) ^ (1 << (index % BITS));
    this.#inOrder += more;
  }
}
