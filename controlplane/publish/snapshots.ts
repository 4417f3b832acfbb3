// Translations -> snapshots, in which everything that is equal is the same object: proxies of one view share whole types,
// and the ADS server sees at a glance what did not change.

import type { EnvoyResource } from "../translate/resource.js";
import type { ResourceMap, Translation } from "../translate/translate.js";
import type { Snapshot, TypeUrl } from "../xds/snapshot.js";

/** The map of shared resources that a map with a proxy's own ones was made from. */
const sharedPart = new WeakMap<ResourceMap, ResourceMap>();
const NOTHING: ResourceMap = new Map();

/** The snapshot of a translation: `before` itself where nothing changed, else with all types of it that did not. */
export function nextSnapshot(before: Snapshot | undefined, { shared, own }: Translation): Snapshot {
  const ownByType = new Map<TypeUrl, EnvoyResource[]>();
  for (const resource of own) {
    const list = ownByType.get(resource.typeUrl) ?? [];
    list.push(resource);
    ownByType.set(resource.typeUrl, list);
  }
  const types = new Set([...shared.keys(), ...ownByType.keys()]);
  const resources = new Map<TypeUrl, ResourceMap>();
  for (const type of types) {
    const known = before?.resources.get(type) as ResourceMap | undefined;
    resources.set(type, join(shared.get(type) ?? NOTHING, ownByType.get(type) ?? [], known));
  }
  const same = before && before.resources.size === resources.size;
  if (same && [...resources].every(([type, map]) => before.resources.get(type) === map)) return before;
  return Object.freeze({ resources });
}

function join(shared: ResourceMap, own: readonly EnvoyResource[], before: ResourceMap | undefined): ResourceMap {
  if (own.length === 0) return shared;
  const isSame = ({ name, version }: EnvoyResource) => before?.get(name)?.version === version;
  if (before && sharedPart.get(before) === shared && before.size === shared.size + own.length && own.every(isSame)) {
    return before;
  }
  const joined = new Map(shared);
  for (const resource of own) {
    if (joined.has(resource.name)) throw new Error(`${resource.typeUrl}: "${resource.name}" was translated twice`);
    joined.set(resource.name, resource);
  }
  sharedPart.set(joined, shared);
  return joined;
}
