// What changed between two sets of resources, worked out once however many streams ask.
import { partsOf } from "./joined-resources.js";
import type { Snapshot, TypeUrl, XdsResource } from "./snapshot.js";

export type ResourceMap = ReadonlyMap<string, XdsResource>;

export interface Difference {
  /** Names that are new or have another version. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export const NO_RESOURCES: ResourceMap = new Map();
const NO_DIFFERENCE: Difference = { changed: [], removed: [] };

const differences = new WeakMap<ResourceMap, WeakMap<ResourceMap, Difference>>();

/** The resources of a type; the same empty map whenever there are none. */
export function resourcesOf(snapshot: Snapshot | undefined, typeUrl: TypeUrl): ResourceMap {
  return snapshot?.resources.get(typeUrl) ?? NO_RESOURCES;
}

/**
 * Remembered for each pair of maps, so proxies that share maps, or parts of them, share the work; the same map twice costs
 * nothing.
 */
export function difference(before: ResourceMap, after: ResourceMap): Difference {
  if (before === after) return NO_DIFFERENCE;
  const known = differences.get(before)?.get(after);
  if (known !== undefined) return known;
  const found = find(before, after);
  let ofBefore = differences.get(before);
  if (ofBefore === undefined) {
    ofBefore = new WeakMap();
    differences.set(before, ofBefore);
  }
  ofBefore.set(after, found);
  return found;
}

function find(before: ResourceMap, after: ResourceMap): Difference {
  const [was, is] = [partsOf(before), partsOf(after)];
  if (was.shared === before && is.shared === after) return compare(before, after);
  const shared = difference(was.shared, is.shared);
  const own = compare(was.own, is.own);
  if (own.changed.length + own.removed.length === 0) return shared;
  // A name may have gone from one part to the other.
  return {
    changed: [...shared.changed, ...own.changed].filter(
      (name) => before.get(name)?.version !== after.get(name)?.version,
    ),
    removed: [...shared.removed, ...own.removed].filter((name) => !after.has(name)),
  };
}

function compare(before: ResourceMap, after: ResourceMap): Difference {
  const changed: string[] = [];
  const removed: string[] = [];
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old !== resource && old?.version !== resource.version) changed.push(name);
  }
  for (const name of before.keys()) if (!after.has(name)) removed.push(name);
  return { changed, removed };
}
