// The objects of a state by kind, oldest first: what the mesh's indexes are built from, kept up by each change alone.
import type { AnyResource, Kind } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";

/** A kind's list is the same array as before where none of its objects changed. */
export type ResourceLists = ReadonlyMap<Kind, readonly AnyResource[]>;

/** What the source says now, and which keys differ from the lists that are given. */
export interface ResourceChange {
  readonly resources: ReadonlyMap<string, AnyResource>;
  readonly changed: Iterable<string>;
  readonly before: ResourceLists;
}

export function listsOf(resources: Iterable<AnyResource>): ResourceLists {
  const lists = new Map<Kind, AnyResource[]>();
  for (const resource of resources) {
    const list = lists.get(resource.kind);
    if (list) list.push(resource);
    else lists.set(resource.kind, [resource]);
  }
  for (const list of lists.values()) list.sort(byAge);
  return lists;
}

/** The lists after a change, at a cost that depends on the kinds that changed. */
export function changeLists({ resources, changed, before }: ResourceChange): ResourceLists {
  const keys = new Map<string, Set<string>>();
  for (const key of changed) {
    const kind = key.slice(0, key.indexOf("/"));
    keys.set(kind, (keys.get(kind) ?? new Set()).add(key));
  }
  const lists = new Map(before);
  for (const [kind, ofKind] of keys) {
    const kept = (before.get(kind as Kind) ?? []).filter((resource) => !ofKind.has(resourceKey(resource)));
    const added = [...ofKind].flatMap((key) => resources.get(key) ?? []).sort(byAge);
    const merged = merge(kept, added);
    if (merged.length > 0) lists.set(kind as Kind, merged);
    else lists.delete(kind as Kind);
  }
  return lists;
}

function merge(kept: readonly AnyResource[], added: readonly AnyResource[]): AnyResource[] {
  const merged: AnyResource[] = [];
  let next = 0;
  for (const resource of kept) {
    for (let candidate = added[next]; candidate && byAge(candidate, resource) < 0; candidate = added[next]) {
      merged.push(candidate);
      next++;
    }
    merged.push(resource);
  }
  return [...merged, ...added.slice(next)];
}

/** Oldest first; objects of one age by name, then namespace, then kind. */
function byAge(a: AnyResource, b: AnyResource): number {
  return (
    a.meta.createdAt - b.meta.createdAt ||
    compare(a.meta.name, b.meta.name) ||
    compare(a.meta.namespace, b.meta.namespace) ||
    compare(a.kind, b.kind)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
