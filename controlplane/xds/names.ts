// Names that a stream keeps by the tens of thousands, at little cost: most are a run in the order of a snapshot, which
// all streams share.
import type { ResourceMap } from "./difference.js";

/** A snapshot's names of one type, numbered in its own order. Shared; never changed. */
interface Order {
  readonly names: readonly string[];
  readonly index: ReadonlyMap<string, number>;
}

/** Fewer are not worth the numbers. */
const LEAST = 256;
const NOTHING: Order = { names: [], index: new Map() };
const orders = new WeakMap<ResourceMap, Order>();

function orderOf(resources: ResourceMap): Order {
  if (resources.size < LEAST) return NOTHING;
  const known = orders.get(resources);
  if (known !== undefined) return known;
  const names = [...resources.keys()];
  const order = { names, index: new Map(names.map((name, index) => [name, index])) };
  orders.set(resources, order);
  return order;
}

/** A set of names: a run of the order, and others. Iterates as a Set does: what is deleted meanwhile does not come. */
export class Names implements Iterable<string> {
  #order = NOTHING;
  #from = 0;
  #to = 0;
  readonly #others = new Set<string>();

  get size(): number {
    return this.#to - this.#from + this.#others.size;
  }

  /** From now on, while the set is empty, runs are in the order of these resources. */
  follow(resources: ResourceMap): void {
    if (this.size > 0) return;
    this.#order = orderOf(resources);
    this.#from = 0;
    this.#to = 0;
  }

  has(name: string): boolean {
    return this.#isInRun(this.#order.index.get(name)) || this.#others.has(name);
  }

  add(name: string): this {
    const index = this.#order.index.get(name);
    if (this.#isInRun(index)) return this;
    if (index !== undefined && this.#from === this.#to && !this.#others.has(name)) {
      this.#from = index;
      this.#to = index + 1;
    } else if (index === this.#to && !this.#others.has(name)) this.#to++;
    else this.#others.add(name);
    return this;
  }

  delete(name: string): boolean {
    const index = this.#order.index.get(name);
    if (!this.#isInRun(index)) return this.#others.delete(name);
    if (index === this.#from) this.#from++;
    else if (index === this.#to - 1) this.#to--;
    else this.#split(index as number);
    return true;
  }

  clear(): void {
    this.#from = this.#to;
    this.#others.clear();
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let index = this.#from; index < this.#to; index++) {
      if (index >= this.#from) yield this.#order.names[index] as string;
    }
    yield* this.#others;
  }

  keys(): Iterable<string> {
    return this;
  }

  #isInRun(index: number | undefined): boolean {
    return index !== undefined && index >= this.#from && index < this.#to;
  }

  /** Takes one out of the middle: the part behind it goes to the others. */
  #split(index: number): void {
    for (const name of this.#order.names.slice(index + 1, this.#to)) this.#others.add(name);
    this.#to = index;
  }
}
