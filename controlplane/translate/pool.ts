// Results that proxies of different views share, because nothing of the proxy takes part in them.
import { same } from "./memo.js";

/** So many variants of one thing are kept, as namespaces with policies of their own for it need. */
const VARIANTS = 8;

interface Entry<T> {
  readonly on: readonly unknown[];
  readonly value: T;
}

/** By the object that a result is about, with which it goes, and by identity of all that it depends on. */
export class Pool<T> {
  readonly #entries = new WeakMap<object, Entry<T>[]>();

  find(about: object, on: readonly unknown[]): T | undefined {
    return this.#entries.get(about)?.find((entry) => same(entry.on, on))?.value;
  }

  add(about: object, on: readonly unknown[], value: T): T {
    const others = this.#entries.get(about) ?? [];
    this.#entries.set(about, [{ on, value }, ...others].slice(0, VARIANTS));
    return value;
  }
}
