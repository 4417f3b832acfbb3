// What one proxy has of a type beside what it shares with others: a map over both, which costs no more than its own part.
import type { ResourceMap } from "./difference.js";
import type { XdsResource } from "./snapshot.js";

/** The shared resources come first. No name may be in both parts, and neither may change. */
export class JoinedResources<R extends XdsResource = XdsResource> implements ReadonlyMap<string, R> {
  constructor(
    readonly shared: ReadonlyMap<string, R>,
    readonly own: ReadonlyMap<string, R>,
  ) {}

  get size(): number {
    return this.shared.size + this.own.size;
  }

  get(name: string): R | undefined {
    return this.own.get(name) ?? this.shared.get(name);
  }

  has(name: string): boolean {
    return this.own.has(name) || this.shared.has(name);
  }

  forEach(callback: (resource: R, name: string, map: ReadonlyMap<string, R>) => void): void {
    for (const [name, resource] of this) callback(resource, name, this);
  }

  *keys(): Generator<string, undefined> {
    yield* this.shared.keys();
    yield* this.own.keys();
  }

  *values(): Generator<R, undefined> {
    yield* this.shared.values();
    yield* this.own.values();
  }

  *entries(): Generator<[string, R], undefined> {
    yield* this.shared.entries();
    yield* this.own.entries();
  }

  [Symbol.iterator](): Generator<[string, R], undefined> {
    return this.entries();
  }
}

const NOTHING: ResourceMap = new Map();

/** What a map shares with others, and what it does not: nothing, for one that is not joined. */
export function partsOf(resources: ResourceMap): { readonly shared: ResourceMap; readonly own: ResourceMap } {
  return resources instanceof JoinedResources ? resources : { shared: resources, own: NOTHING };
}
