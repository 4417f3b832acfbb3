// Translations -> snapshots, in which everything that is equal is the same object: proxies of one view share whole types,
// and the ADS server sees at a glance what did not change.

import type { EnvoyResource } from "../translate/resource.js";
import type { ResourceMap, Translation } from "../translate/translate.js";
import { JoinedResources, partsOf } from "../xds/joined-resources.js";
import type { Snapshot, TypeUrl } from "../xds/snapshot.js";

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
  const known = partsOf(before ?? NOTHING);
  const isSame = ({ name, version }: EnvoyResource) => known.own.get(name)?.version === version;
  if (before && known.shared === shared && known.own.size === own.length && own.every(isSame)) return before;
  const byName = new Map(own.map((resource) => [resource.name, resource]));
  const twice = byName.size < own.length || own.some(({ name }) => shared.has(name));
  if (twice)
    throw new Error(`${own[0]?.typeUrl}: a name was translated twice: ${own.map(({ name }) => name).join(", ")}`);
  return new JoinedResources(shared, byName);
}
