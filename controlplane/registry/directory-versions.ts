// Versions of filters on disk:
//
//   DIR/modules/NAME/VERSION/{module.wasm,version.json}
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createDirectoryDurably, removeDirectoryDurably, UNFINISHED } from "./durable.js";
import { type FilterVersion, parseRecord, type VersionStore } from "./version-store.js";

export class DirectoryVersions implements VersionStore {
  readonly #modules: string;

  /** directory: the registry's. */
  constructor(directory: string) {
    this.#modules = join(directory, "modules");
  }

  add(record: FilterVersion, wasm: Uint8Array): Promise<boolean> {
    const files = new Map<string, Uint8Array | string>([
      ["module.wasm", wasm],
      ["version.json", `${JSON.stringify(record, null, 2)}\n`],
    ]);
    return createDirectoryDurably(this.#path(record.name, record.version), files);
  }

  async list(): Promise<readonly FilterVersion[]> {
    const found: FilterVersion[] = [];
    for (const name of await entries(this.#modules))
      for (const version of await entries(join(this.#modules, name))) {
        const record = version.startsWith(UNFINISHED) ? undefined : await this.find(name, version);
        if (typeof record === "object") found.push(record);
      }
    return found;
  }

  async find(name: string, version: string): Promise<FilterVersion | "damaged" | undefined> {
    const text = await readFile(join(this.#path(name, version), "version.json"), "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    const record = parseRecord(text);
    return record?.name === name && record.version === version ? record : "damaged";
  }

  read(name: string, version: string): Promise<Uint8Array> {
    return readFile(join(this.#path(name, version), "module.wasm")).catch(() => Buffer.alloc(0));
  }

  remove(name: string, version: string): Promise<boolean> {
    return removeDirectoryDurably(this.#path(name, version));
  }

  async sweep(olderThan: number): Promise<void> {
    for (const name of await entries(this.#modules))
      for (const entry of await entries(join(this.#modules, name))) {
        const path = join(this.#modules, name, entry);
        const changed = entry.startsWith(UNFINISHED) ? await stat(path).catch(() => undefined) : undefined;
        if (changed && Date.now() - changed.mtimeMs >= olderThan) await rm(path, { recursive: true, force: true });
      }
  }

  #path(name: string, version: string): string {
    return join(this.#modules, name, version);
  }
}

function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
