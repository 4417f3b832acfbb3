// What clients that ask for the same thousands of names are sent first of them, worked out once for all of them.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import { hasBit, valuesOf } from "./name-order.js";
import type { Names } from "./names.js";
import { type Run, sharedRun, weightOf } from "./runs.js";
import type { XdsResource } from "./snapshot.js";

interface AskedRun {
  /** All that was asked for. */
  readonly bits: Uint32Array;
  readonly maxBytes: number;
  readonly run: Run | undefined;
}

/** So many are kept of one map: proxies of one view ask for the same, in as many requests as clusters come in. */
const MOST = 32;

const known = new WeakMap<ResourceMap, readonly AskedRun[]>();

/**
 * The resources of the first of these names, in the map's order, about so many bytes at most. Undefined where it is not worth
 * it: for few names, and where some of them are the client's own.
 */
export function askedRun(asked: Names, resources: ResourceMap, maxBytes: number): Run | undefined {
  const bits = asked.bitsOf(resources);
  if (bits === undefined) return undefined;
  const { shared } = partsOf(resources);
  const runs = known.get(shared) ?? [];
  const found = runs.find((other) => other.maxBytes === maxBytes && isSame(other.bits, bits));
  if (found !== undefined) return found.run;
  const run = sharedRun(firstOf(bits, valuesOf(shared), maxBytes));
  known.set(shared, [{ bits: bits.slice(), maxBytes, run }, ...runs].slice(0, MOST));
  return run;
}

function firstOf(bits: Uint32Array, resources: readonly XdsResource[], maxBytes: number): readonly XdsResource[] {
  let bytes = 0;
  return resources.filter((resource, index) => {
    if (bytes >= maxBytes || !hasBit(bits, index)) return false;
    bytes += weightOf(resource);
    return true;
  });
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index]);
}
