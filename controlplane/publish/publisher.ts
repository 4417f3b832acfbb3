// Keeps every connected proxy's snapshot true to the newest state of the sources.
import { buildMesh, changeMesh, type Mesh, type MeshOptions } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import type { SourceState } from "../sources/source.js";
import type { TranslateOptions } from "../translate/options.js";
import { Translator } from "../translate/translate.js";
import type { SnapshotCache } from "../xds/cache.js";
import { nextSnapshot } from "./snapshots.js";

export interface PublisherOptions {
  readonly cache: SnapshotCache;
  readonly mesh: MeshOptions;
  readonly translate: TranslateOptions;
  /** A fault of ours: the proxy keeps its last snapshot, and the others are served. */
  readonly onFault: (proxy: Proxy, error: unknown) => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #proxies = new Map<string, Proxy>();
  readonly #translator: Translator;
  #mesh: Mesh;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#translator = new Translator(options.translate);
    this.#mesh = buildMesh([], options.mesh);
  }

  get mesh(): Mesh {
    return this.#mesh;
  }

  get proxies(): ReadonlyMap<string, Proxy> {
    return this.#proxies;
  }

  /** Takes over what changed and publishes to all proxies. Gives the ids of those whose snapshot changed. */
  update({ resources, changed }: SourceState): string[] {
    this.#mesh = changeMesh(this.#mesh, resources, changed);
    const touched = [...this.#proxies.values()].filter((proxy) => this.#publish(proxy)).map((proxy) => proxy.id);
    this.#translator.sweep(this.#mesh);
    return touched;
  }

  /** Publishes to a proxy that connected, by what it says of itself now. */
  connect(proxy: Proxy): void {
    this.#proxies.set(proxy.id, proxy);
    this.#publish(proxy);
  }

  disconnect(id: string): void {
    this.#proxies.delete(id);
    this.#options.cache.delete(id);
  }

  #publish(proxy: Proxy): boolean {
    const { cache, onFault } = this.#options;
    try {
      const before = cache.get(proxy.id);
      const snapshot = nextSnapshot(before, this.#translator.translate(this.#mesh, proxy));
      if (snapshot === before) return false;
      cache.set(proxy.id, snapshot);
      return true;
    } catch (error) {
      onFault(proxy, error);
      return false;
    }
  }
}
