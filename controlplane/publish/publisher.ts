// Keeps every connected proxy's snapshot true to the newest state of the sources.
import { buildMesh, changeMesh, type Mesh, type MeshOptions } from "../mesh/mesh.js";
import { type Proxy, parseNode } from "../proxy/proxy.js";
import type { SourceState } from "../sources/source.js";
import type { TranslateOptions } from "../translate/options.js";
import { Translator } from "../translate/translate.js";
import { viewOf } from "../translate/view.js";
import type { SnapshotCache } from "../xds/cache.js";
import { encodeResources, prepareResources } from "../xds/prepare.js";
import { Slices } from "./slices.js";
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
  readonly #slices = new Slices();
  /** What is being prepared, by view: all proxies of one view wait for the same work. */
  readonly #preparing = new Map<string, { readonly mesh: Mesh; readonly done: Promise<void> }>();
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

  /**
   * Takes over what changed and publishes to all proxies, in slices between which others get their turn. Resolves with
   * the ids of those whose snapshot changed; each is told of at once, too, for it may have answered before the last is
   * published to. One call at a time.
   */
  async update({ resources, changed }: SourceState, onTouched: (proxy: string) => void = () => {}): Promise<string[]> {
    // Whoever brings the state has worked on it at length.
    await this.#slices.turn();
    const mesh = changeMesh(this.#mesh, resources, changed);
    this.#mesh = mesh;
    const touched: string[] = [];
    for (const proxy of [...this.#proxies.values()]) {
      await this.#prepare(mesh, proxy);
      await this.#slices.turn();
      if (this.#proxies.get(proxy.id) === proxy && this.#publish(proxy)) {
        touched.push(proxy.id);
        onTouched(proxy.id);
      }
    }
    this.#translator.sweep(mesh);
    return touched;
  }

  /**
   * Does ahead of the first proxies what they have in common: as for a sidecar of this namespace. Others then need
   * little of their own, which is rehearsed: the first time takes several times as long as the next.
   */
  async prewarm(namespace: string): Promise<void> {
    const parsed = parseNode({ id: `sidecar~127.0.0.1~prewarm.${namespace}~${namespace}.svc.cluster.local` }, "delta");
    if (!("proxy" in parsed)) return;
    await this.#prepare(this.#mesh, parsed.proxy);
    await this.#prepareServing(this.#mesh, parsed.proxy);
    await this.#inSlices(() => encodeResources(this.#translator.shared(this.#mesh, parsed.proxy)));
    await this.#inSlices(() => this.#rehearse(parsed.proxy));
  }

  *#rehearse(proxy: Proxy): Generator<void> {
    const translation = this.#translator.translate(this.#mesh, proxy);
    yield;
    nextSnapshot(undefined, translation);
  }

  /**
   * Publishes to a proxy that connected, by what it says of itself now. While one Envoy takes over from another, both speak
   * for it, and the former may come back after the next one came.
   */
  async connect(proxy: Proxy): Promise<void> {
    if ((this.#proxies.get(proxy.id)?.since ?? 0) > proxy.since) return;
    this.#proxies.set(proxy.id, proxy);
    for (let mesh: Mesh | undefined; mesh !== this.#mesh; ) {
      mesh = this.#mesh;
      await this.#prepare(mesh, proxy);
      await this.#prepareServing(mesh, proxy);
      await this.#slices.turn();
    }
    if ((this.#proxies.get(proxy.id) ?? proxy) !== proxy) return;
    // Its last stream may have ended meanwhile, and with it what was known of it.
    this.#proxies.set(proxy.id, proxy);
    this.#publish(proxy);
  }

  /** Publishes to every proxy again, as what the translation is told besides the mesh has changed. */
  republish(): void {
    for (const proxy of [...this.#proxies.values()]) this.#publish(proxy);
  }

  disconnect(id: string): void {
    this.#proxies.delete(id);
    this.#options.cache.delete(id);
  }

  async #prepare(mesh: Mesh, proxy: Proxy): Promise<void> {
    const view = viewOf(mesh, proxy);
    const running = this.#preparing.get(view);
    if (running?.mesh === mesh) return running.done;
    const done = this.#prepareView(mesh, proxy);
    const entry = { mesh, done };
    this.#preparing.set(view, entry);
    await done;
    if (this.#preparing.get(view) === entry) this.#preparing.delete(view);
  }

  #prepareView(mesh: Mesh, proxy: Proxy): Promise<void> {
    return this.#inSlices(() => this.#translator.prepare(mesh, proxy));
  }

  /** What the server does for the first proxy of a view alone. */
  #prepareServing(mesh: Mesh, proxy: Proxy): Promise<void> {
    return this.#inSlices(() => prepareResources(this.#translator.shared(mesh, proxy)));
  }

  async #inSlices(steps: () => Iterator<void, unknown>): Promise<void> {
    try {
      await this.#slices.finish(steps());
    } catch {
      // The same fault comes again when the proxy is published to, and is told there.
    }
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
