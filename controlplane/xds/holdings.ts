// What a client is taken to hold of one type. What many clients hold alike lies in maps that all of them share, so that a
// client costs what sets it apart.
import { NO_RESOURCES, type ResourceMap } from "./difference.js";
import type { XdsResource } from "./snapshot.js";

/** What a client is taken to hold of a name. Without a body where only the client's own word is known. */
export type Held = Pick<XdsResource, "name" | "version"> & Partial<XdsResource>;

/** Each is looked through in turn. */
const MOST_SHARED = 16;

export class Holdings {
  /** Those of their names that overlap are among the own. */
  #shared: readonly ResourceMap[] = [];
  /** Goes before what is shared; undefined where the client does not hold what is shared. */
  readonly #own = new Map<string, Held | undefined>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(name: string): Held | undefined {
    const own = this.#own.get(name);
    return own !== undefined || this.#own.has(name) ? own : this.#sharedOf(name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Whether the client holds nothing of the map's names. False may be said of one that does not, if it held some once. */
  hasNoneOf(resources: ResourceMap): boolean {
    for (const name of this.#own.keys()) if (resources.has(name)) return false;
    return this.#shared.every((map) => areApart(map, resources));
  }

  set(name: string, held: Held): void {
    if (!this.has(name)) this.#size++;
    this.#own.set(name, held);
  }

  delete(name: string): void {
    if (!this.has(name)) return;
    this.#size--;
    if (this.#sharedOf(name) === undefined) this.#own.delete(name);
    else this.#own.set(name, undefined);
  }

  clear(): void {
    this.isExactly(NO_RESOURCES);
  }

  *keys(): Generator<string> {
    for (const [name, held] of this.#own) if (held !== undefined) yield name;
    for (const map of this.#shared) for (const name of map.keys()) if (!this.#own.has(name)) yield name;
  }

  /** The client holds these too; it held nothing of their names before. The map must never change. */
  add(resources: ResourceMap): void {
    // An older shared map still has these names.
    for (const [name, held] of this.#own) if (held === undefined) this.#own.set(name, resources.get(name));
    this.#size += resources.size;
    if (this.#shared.length < MOST_SHARED) this.#shared = [...this.#shared, resources];
    else for (const [name, resource] of resources) this.#own.set(name, resource);
  }

  /** The client holds these and nothing else. The map must never change. */
  isExactly(resources: ResourceMap): void {
    this.#shared = resources.size === 0 ? [] : [resources];
    this.#own.clear();
    this.#size = resources.size;
  }

  #sharedOf(name: string): XdsResource | undefined {
    for (const map of this.#shared) {
      const resource = map.get(name);
      if (resource !== undefined) return resource;
    }
    return undefined;
  }
}

const apart = new WeakMap<ResourceMap, WeakMap<ResourceMap, boolean>>();

/** Whether no name is in both; worked out once for two maps, which must never change. */
function areApart(a: ResourceMap, b: ResourceMap): boolean {
  const ofA = apart.get(a) ?? new WeakMap<ResourceMap, boolean>();
  apart.set(a, ofA);
  const known = ofA.get(b) ?? ![...b.keys()].some((name) => a.has(name));
  ofA.set(b, known);
  return known;
}
