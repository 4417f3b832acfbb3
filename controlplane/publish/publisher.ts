// Keeps every connected proxy's snapshot true to the newest state of the sources.
import { buildMesh, type Mesh, type MeshOptions } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import type { SourceState } from "../sources/source.js";
import type { TranslateOptions } from "../translate/options.js";
import { translate } from "../translate/translate.js";
import type { SnapshotCache } from "../xds/cache.js";
import { Snapshots } from "./snapshots.js";

export interface PublisherOptions {
  readonly cache: SnapshotCache;
  readonly mesh: MeshOptions;
  readonly translate: TranslateOptions;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #proxies = new Map<string, Proxy>();
  readonly #snapshots = new Snapshots();
  #mesh: Mesh;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#mesh = buildMesh([], options.mesh);
  }

  get mesh(): Mesh {
    return this.#mesh;
  }

  get proxies(): ReadonlyMap<string, Proxy> {
    return this.#proxies;
  }

  /** Builds the mesh anew and publishes to all proxies. Gives the ids of those whose snapshot changed. */
  update(state: SourceState): string[] {
    this.#mesh = buildMesh(state.resources.values(), this.#options.mesh);
    const changed = [...this.#proxies.values()].filter((proxy) => this.#publish(proxy)).map((proxy) => proxy.id);
    this.#snapshots.forgetUnused();
    return changed;
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
    const { cache } = this.#options;
    const snapshot = this.#snapshots.create(translate(this.#mesh, proxy, this.#options.translate));
    const before = cache.get(proxy.id);
    const same = before && [...snapshot.resources].every(([type, map]) => before.resources.get(type) === map);
    if (same && before.resources.size === snapshot.resources.size) return false;
    cache.set(proxy.id, snapshot);
    return true;
  }
}
