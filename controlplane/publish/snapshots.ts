// Translated resources -> snapshots, in which everything that is equal is the same object: one encoding of a resource
// serves every proxy and every later snapshot, and the ADS server sees at a glance what did not change.
import type { EnvoyResource } from "../translate/resource.js";
import type { Snapshot, TypeUrl, XdsResource } from "../xds/snapshot.js";

type ResourceMap = ReadonlyMap<string, XdsResource>;

/** Makes snapshots; remembers what the current ones hold. */
export class Snapshots {
  /** type, name, version -> the one object for it. */
  #resources = new Map<string, XdsResource>();
  /** The content of a whole type -> the one map for it. */
  #maps = new Map<string, ResourceMap>();
  #usedResources = new Map<string, XdsResource>();
  #usedMaps = new Map<string, ResourceMap>();

  /** Throws when a name is there twice within a type: a fault of the translation. */
  create(resources: readonly EnvoyResource[]): Snapshot {
    const byType = new Map<TypeUrl, Map<string, XdsResource>>();
    for (const resource of resources) {
      const { typeUrl, name } = resource;
      const map = byType.get(typeUrl) ?? new Map<string, XdsResource>();
      byType.set(typeUrl, map);
      if (map.has(name)) throw new Error(`${typeUrl}: "${name}" was translated twice`);
      map.set(name, this.#intern(resource));
    }
    const shared = new Map([...byType].map(([typeUrl, map]) => [typeUrl, this.#share(typeUrl, map)]));
    return Object.freeze({ resources: shared });
  }

  /** Forgets what was not used since the last call; to be called after all snapshots of a revision were made. */
  forgetUnused(): void {
    this.#resources = this.#usedResources;
    this.#maps = this.#usedMaps;
    this.#usedResources = new Map();
    this.#usedMaps = new Map();
  }

  #intern({ typeUrl, name, version, any }: EnvoyResource): XdsResource {
    const key = `${typeUrl} ${name} ${version}`;
    const known = this.#usedResources.get(key) ?? this.#resources.get(key) ?? Object.freeze({ name, version, any });
    this.#usedResources.set(key, known);
    return known;
  }

  #share(typeUrl: TypeUrl, map: ResourceMap): ResourceMap {
    const key = `${typeUrl} ${[...map.values()].map(({ name, version }) => `${name} ${version}`).join(" ")}`;
    const known = this.#usedMaps.get(key) ?? this.#maps.get(key) ?? map;
    this.#usedMaps.set(key, known);
    return known;
  }
}
