// The streams that a server has open, to be found by the key that a proxy was let in under.
import type { AdsStream } from "./stream.js";

export class Streams implements Iterable<AdsStream> {
  readonly #all = new Set<AdsStream>();
  readonly #byKey = new Map<string, Set<AdsStream>>();

  get size(): number {
    return this.#all.size;
  }

  add(stream: AdsStream): void {
    this.#all.add(stream);
  }

  /** The stream has a key from now on. */
  letIn(stream: AdsStream): void {
    const { key } = stream;
    if (key === undefined) return;
    this.#byKey.set(key, (this.#byKey.get(key) ?? new Set()).add(stream));
  }

  delete(stream: AdsStream): void {
    this.#all.delete(stream);
    const { key } = stream;
    const others = key === undefined ? undefined : this.#byKey.get(key);
    if (key === undefined || others === undefined) return;
    others.delete(stream);
    if (others.size === 0) this.#byKey.delete(key);
  }

  /** In the order in which they were let in; a proxy may have two while it restarts or reconnects. */
  of(key: string): readonly AdsStream[] {
    return [...(this.#byKey.get(key) ?? [])];
  }

  [Symbol.iterator](): Iterator<AdsStream> {
    return this.#all.values();
  }
}
