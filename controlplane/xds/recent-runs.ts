// What is made of long runs of resources, kept for as long as several streams are likely to want the same: proxies of one
// view that connect together are all sent the same thousands of resources.
import { type Clock, systemClock } from "./clock.js";
import type { XdsResource } from "./snapshot.js";

interface Entry<Made> {
  readonly resources: readonly XdsResource[];
  readonly made: Made;
  readonly bytes: number;
  usedAt: number;
}

/** What nobody has wanted for so long is let go of when something else is made. */
const IDLE_MILLIS = 10_000;

/** What was asked for last: up to so many bytes together. */
export class RecentRuns<Made> {
  /** The last used come last. */
  #entries: Entry<Made>[] = [];
  #bytes = 0;

  /** `make` must depend on nothing but the resources and their order. */
  constructor(
    readonly maxBytes: number,
    readonly make: (resources: readonly XdsResource[]) => Made,
    readonly sizeOf: (made: Made) => number,
    readonly clock: Clock = systemClock,
  ) {}

  /** What is made of these resources, in this order, which all who ask for it share. */
  of(resources: readonly XdsResource[]): Made {
    const now = this.clock.now();
    const index = this.#entries.findIndex((entry) => isSame(entry.resources, resources));
    const [known] = index < 0 ? [] : this.#entries.splice(index, 1);
    const entry = known ?? this.#create(resources);
    entry.usedAt = now;
    this.#entries.push(entry);
    this.#letGo(now - IDLE_MILLIS);
    return entry.made;
  }

  #create(resources: readonly XdsResource[]): Entry<Made> {
    const made = this.make(resources);
    const bytes = this.sizeOf(made);
    this.#bytes += bytes;
    return { resources, made, bytes, usedAt: 0 };
  }

  #letGo(usedBefore: number): void {
    for (let [oldest] = this.#entries; oldest; [oldest] = this.#entries) {
      if (this.#bytes <= this.maxBytes && oldest.usedAt > usedBefore) return;
      this.#bytes -= oldest.bytes;
      this.#entries.shift();
    }
  }
}

function isSame(a: readonly XdsResource[], b: readonly XdsResource[]): boolean {
  return a === b || (a.length === b.length && a.every((resource, index) => resource === b[index]));
}
