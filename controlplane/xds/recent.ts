// What is made of something long, kept for as long as several streams are likely to want the same: proxies of one view that
// connect together ask for the same thousands of names, and are sent the same thousands of resources.
import { type Clock, systemClock } from "./clock.js";

export interface Making<Key, Made> {
  /** Must depend on nothing but what isSame compares. */
  readonly make: (key: Key) => Made;
  readonly isSame: (a: Key, b: Key) => boolean;
  /** Bytes that are kept. */
  readonly sizeOf: (made: Made, key: Key) => number;
  /** What is kept of a key that is used for something else later; the key itself by default. */
  readonly keep?: (key: Key) => Key;
}

interface Entry<Key, Made> {
  readonly key: Key;
  readonly made: Made;
  readonly bytes: number;
  usedAt: number;
}

/** What nobody has wanted for so long is let go of when something else is made. */
const IDLE_MILLIS = 10_000;

/** What was asked for last: up to so many bytes together. */
export class Recent<Key, Made> {
  /** The last used come last. */
  #entries: Entry<Key, Made>[] = [];
  #bytes = 0;

  constructor(
    readonly maxBytes: number,
    readonly making: Making<Key, Made>,
    readonly clock: Clock = systemClock,
  ) {}

  /** What is made of this, which all who ask for the same share. */
  of(key: Key): Made {
    const now = this.clock.now();
    const index = this.#entries.findIndex((entry) => this.making.isSame(entry.key, key));
    const [known] = index < 0 ? [] : this.#entries.splice(index, 1);
    const entry = known ?? this.#create(key);
    entry.usedAt = now;
    this.#entries.push(entry);
    this.#letGo(now - IDLE_MILLIS);
    return entry.made;
  }

  #create(key: Key): Entry<Key, Made> {
    const { make, sizeOf, keep = (given: Key) => given } = this.making;
    const made = make(key);
    const bytes = sizeOf(made, key);
    this.#bytes += bytes;
    return { key: keep(key), made, bytes, usedAt: 0 };
  }

  #letGo(usedBefore: number): void {
    for (let [oldest] = this.#entries; oldest; [oldest] = this.#entries) {
      if (this.#bytes <= this.maxBytes && oldest.usedAt > usedBefore) return;
      this.#bytes -= oldest.bytes;
      this.#entries.shift();
    }
  }
}
