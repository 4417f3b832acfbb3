// The latest snapshot of each proxy, and who wants to hear of the next one.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import type { Snapshot, TypeUrl } from "./snapshot.js";

export type SnapshotWatcher = (key: string, snapshot: Snapshot) => void;

/** One snapshot a proxy, by the key that onConnect gave the proxy. */
export class SnapshotCache {
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #watchers = new Map<string, Set<SnapshotWatcher>>();

  /**
   * Publishes a snapshot in the place of the last; the same object again is no change. Throws when it contradicts
   * itself: a resource under another name than its own, or one without name or version.
   */
  set(key: string, snapshot: Snapshot): void {
    checkConsistency(snapshot);
    if (this.#snapshots.get(key) === snapshot) return;
    this.#snapshots.set(key, snapshot);
    for (const watcher of [...(this.#watchers.get(key) ?? [])]) watcher(key, snapshot);
  }

  get(key: string): Snapshot | undefined {
    return this.#snapshots.get(key);
  }

  /** Connected proxies keep what they have; one that connects waits until the key is set again. */
  delete(key: string): void {
    this.#snapshots.delete(key);
  }

  keys(): IterableIterator<string> {
    return this.#snapshots.keys();
  }

  /** Calls back on every later set of the key, until the returned function is called. */
  watch(key: string, watcher: SnapshotWatcher): () => void {
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(key) === watchers) this.#watchers.delete(key);
    };
  }
}

/** Maps that were found in order once; they are immutable, so proxies that share one share the check. */
const checked = new WeakSet<ResourceMap>();

function checkConsistency(snapshot: Snapshot): void {
  for (const [typeUrl, resources] of snapshot.resources) {
    const { shared, own } = partsOf(resources);
    for (const part of [shared, own]) checkResources(typeUrl, part);
    for (const name of own.keys()) if (shared.has(name)) throw new Error(`${typeUrl}: "${name}" is there twice`);
  }
}

/** Throws as set() would. Next to nothing the second time. */
export function checkResources(typeUrl: TypeUrl, resources: ResourceMap): void {
  if (checked.has(resources)) return;
  for (const [name, resource] of resources) {
    if (resource.name !== name) throw new Error(`${typeUrl}: "${resource.name}" lies under the name "${name}"`);
    if (name === "" || name === "*") throw new Error(`${typeUrl}: "${name}" cannot be a resource's name`);
    if (resource.version === "") throw new Error(`${typeUrl}: "${name}" has no version`);
  }
  checked.add(resources);
}
