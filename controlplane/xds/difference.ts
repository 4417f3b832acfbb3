// What changed between two sets of resources, worked out once however many streams ask.
import { createHash } from "node:crypto";
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
const versions = new WeakMap<ResourceMap, string>();

/** The resources of a type; the same empty map whenever there are none. */
export function resourcesOf(snapshot: Snapshot | undefined, typeUrl: TypeUrl): ResourceMap {
  return snapshot?.resources.get(typeUrl) ?? NO_RESOURCES;
}

/** Remembered for each pair of maps, so proxies that share maps share the work; the same map twice costs nothing. */
export function difference(before: ResourceMap, after: ResourceMap): Difference {
  if (before === after) return NO_DIFFERENCE;
  const known = differences.get(before)?.get(after);
  if (known !== undefined) return known;
  const found = compare(before, after);
  let ofBefore = differences.get(before);
  if (ofBefore === undefined) {
    ofBefore = new WeakMap();
    differences.set(before, ofBefore);
  }
  ofBefore.set(after, found);
  return found;
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

/** Equal for equal names and versions, in whatever order they were put in and in whichever process; 16 hex digits. */
export function versionOf(resources: ResourceMap): string {
  const known = versions.get(resources);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const name of [...resources.keys()].sort()) hash.update(`${name}\0${resources.get(name)?.version}\n`);
  const version = hash.digest("hex").slice(0, 16);
  versions.set(resources, version);
  return version;
}
