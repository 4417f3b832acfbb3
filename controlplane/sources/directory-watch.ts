// Tells of what happens in a tree of directories, by one watch a directory.
import { type FSWatcher, watch } from "node:fs";
import { basename, join } from "node:path";

/** Something at this path may have been made, changed or removed; undefined when it is not known what. */
export type OnEvent = (path: string | undefined) => void;

/** Watches the directories that it is told of. Where one cannot be watched, only the source's slow poll sees changes. */
export class DirectoryWatch {
  private readonly watches = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>();

  /** Directories of which it was said that they cannot be watched. */
  private readonly unwatchable = new Set<string>();
  private closed = false;

  constructor(
    private readonly onEvent: OnEvent,
    private readonly logger: { warn(message: string): void } | undefined,
  ) {}

  /**
   * Watches these directories and no others. The map's values tell a directory from another one that took its place.
   * Returns whether any is newly watched, so that what was made in it before must be looked for.
   */
  set(directories: ReadonlyMap<string, string>): boolean {
    if (this.closed) return false;
    let added = false;
    for (const [path, { identity, watcher }] of this.watches) {
      if (directories.get(path) === identity) continue;
      watcher.close();
      this.watches.delete(path);
    }
    for (const [path, identity] of directories) {
      if (!this.watches.has(path)) added = this.add(path, identity) || added;
    }
    return added;
  }

  has(path: string): boolean {
    return this.watches.has(path);
  }

  /** From now on nothing is watched, whatever a look at the directories that is still under way finds. */
  close(): void {
    this.set(new Map());
    this.closed = true;
  }

  private add(path: string, identity: string): boolean {
    try {
      const watcher = watch(path, (_, name) => {
        // A directory that is removed or moved away says so by its own name, and its watch is dead.
        if (name === basename(path)) this.drop(path, watcher);
        else this.onEvent(name === null ? undefined : join(path, name));
      });
      watcher.on("error", () => this.drop(path, watcher));
      this.watches.set(path, { identity, watcher });
      return true;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (this.unwatchable.has(path)) return false;
      this.unwatchable.add(path);
      this.logger?.warn(`${path} cannot be watched (${code}): its changes are seen at the next look at everything.`);
      return false;
    }
  }

  /** Forgets a watch; the source looks at everything and watches the directory anew if there is one. */
  private drop(path: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.watches.get(path)?.watcher === watcher) this.watches.delete(path);
    this.onEvent(undefined);
  }
}
