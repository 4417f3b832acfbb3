// Names that a stream keeps by the tens of thousands, at little cost: most are those of a snapshot, which all streams
// share, and take a bit each.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";

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

  /** Takes the names out one by one, as they come. */
  *drain(): Generator<string> {
    const { names } = this.#order;
    for (let word = 0; word < this.#bits.length && this.#inOrder > 0; word++) {
      for (let bit = 0; this.#bits[word] !== 0 && bit < BITS; bit++) {
        const index = word * BITS + bit;
        if (!this.#isSet(index)) continue;
        this.#flip(index, -1);
        yield names[index] as string;
      }
    }
    for (const name of this.#others) {
      this.#others.delete(name);
      yield name;
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

  #flip(index: number, more: 1 | -1): void {
    const word = Math.floor(index / BITS);
    this.#bits[word] = (this.#bits[word] as number) ^ (1 << (index % BITS));
    this.#inOrder += more;
  }
}
