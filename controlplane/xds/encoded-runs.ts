// Encodings of long runs of resources, kept for as long as several streams are likely to want the same one: proxies of
// one view that connect together are all sent the same thousands of resources.
import type { XdsResource } from "./snapshot.js";

interface Run {
  readonly resources: readonly XdsResource[];
  readonly bytes: Uint8Array;
}

/** The runs that were asked for last, up to so many bytes together. */
export class EncodedRuns {
  /** The last used come last. */
  #runs: Run[] = [];
  #bytes = 0;

  constructor(readonly maxBytes: number) {}

  /** The encoding of these resources, in this order. `encode` must depend on nothing else. */
  of(resources: readonly XdsResource[], encode: (resources: readonly XdsResource[]) => Uint8Array): Uint8Array {
    const index = this.#runs.findIndex((run) => isSame(run.resources, resources));
    const [known] = index < 0 ? [] : this.#runs.splice(index, 1);
    const run = known ?? { resources, bytes: encode(resources) };
    this.#runs.push(run);
    if (known === undefined) this.#bytes += run.bytes.length;
    while (this.#bytes > this.maxBytes) this.#bytes -= this.#runs.shift()?.bytes.length ?? 0;
    return run.bytes;
  }
}

function isSame(a: readonly XdsResource[], b: readonly XdsResource[]): boolean {
  return a === b || (a.length === b.length && a.every((resource, index) => resource === b[index]));
}
