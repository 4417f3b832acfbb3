// Names that a stream keeps by the tens of thousands, at little cost: most are those of a snapshot, which all streams
// share, and take a bit each.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import { BITS, bitCount, bitsFor, hasBit, NO_ORDER, orderOf, patternOf, valuesOf } from "./name-order.js";
import type { XdsResource } from "./snapshot.js";

/** Shorter lists are not worth the bits. */
const LEAST = 256;

/** Of a list, only those that are in the other set, or only those that are not. */
export interface Where {
  readonly set: Names;
  readonly isIn: boolean;
}

/** A set of names. Iterates as a Set does, though in an order of its own: what is deleted meanwhile does not come. */
export class Names implements Iterable<string> {
  #order = NO_ORDER;
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
    this.#bits = bitsFor(this.#order);
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
  addAll(names: readonly string[], where?: Where | undefined): void {
    const isWanted = (name: string) => where === undefined || where.set.has(name) === where.isIn;
    if (names.length < LEAST || (where !== undefined && where.set.#order !== this.#order)) {
      for (const name of names) if (isWanted(name)) this.add(name);
      return;
    }
    const { bits, others } = patternOf(names, this.#order);
    const flipped = where?.isIn ? 0 : -1;
    const wanted = where === undefined ? () => -1 : (word: number) => (where.set.#bits[word] as number) ^ flipped;
    this.#turn((word) => (bits[word] as number) & wanted(word) & ~(this.#bits[word] as number), 1);
    for (const name of others) if (isWanted(name)) this.#others.add(name);
  }

  /** Of a list that never changes. */
  hasAll(names: readonly string[]): boolean {
    if (names.length < LEAST) return names.every((name) => this.has(name));
    const { bits, others } = patternOf(names, this.#order);
    return (
      bits.every((wanted, word) => (wanted & ~(this.#bits[word] as number)) === 0) &&
      others.every((name) => this.#others.has(name))
    );
  }

  /** Those of another set, or of a list that never changes. */
  deleteAll(names: Names | readonly string[]): void {
    const isShort = !(names instanceof Names) && names.length < LEAST;
    if (isShort || (names instanceof Names && names.#order !== this.#order)) {
      for (const name of names) this.delete(name);
      return;
    }
    const { bits, others } =
      names instanceof Names ? { bits: names.#bits, others: names.#others } : patternOf(names, this.#order);
    this.#turn((word) => (bits[word] as number) & (this.#bits[word] as number), -1);
    for (const name of others) this.#others.delete(name);
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

  /** The set as bits of the order of these resources' names; undefined when they are few, or some are not in that order. */
  bitsOf(resources: ResourceMap): Uint32Array | undefined {
    const isInOrder = this.#others.size === 0 && this.#inOrder >= LEAST;
    return isInOrder && orderOf(partsOf(resources).shared) === this.#order ? this.#bits : undefined;
  }

  /** The set at this moment; one list for all who have the same whole snapshot. */
  list(): readonly string[] {
    const { names } = this.#order;
    return this.#others.size === 0 && this.#inOrder === names.length ? names : [...this];
  }

  #isSet(index: number): boolean {
    return hasBit(this.#bits, index);
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
