// A few objects as the server has them from moment to moment: listed, watched on from there, and listed again where the watch
// cannot go on. What is known stays known while the server is away.
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "./backoff.js";
import type { KubeClient } from "./client.js";
import { KubeFault, type KubeObject, type KubeType, type Selection } from "./object.js";
import { onChangedFault } from "./told-faults.js";

export interface FollowOptions {
  readonly client: KubeClient;
  readonly type: KubeType;
  readonly selection: Selection;
  /** Why they cannot be followed, once for each reason; undefined when that is over. */
  readonly onFault: (fault: KubeFault | undefined) => void;
}

/** Milliseconds. A watch that lasted for longer was none that failed. */
const GOOD_WATCH_MS = 500;
/** Milliseconds. A server that starts refuses what it will allow a moment later. */
const FORBIDDEN_MS = 1_500;

export class FollowedObjects {
  /** Resolves when they were listed for the first time, when the server forbids that, and when it is not waited for. */
  readonly synced: Promise<void>;
  readonly #options: FollowOptions;
  readonly #settle: (fault: KubeFault | undefined) => void;
  readonly #stop = new AbortController();
  readonly #objects = new Map<string, KubeObject>();
  readonly #backoff = new Backoff();
  #markSynced: () => void = () => {};
  #forbiddenSince: number | undefined;
  #running: Promise<void> | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#settle = onChangedFault(options.onFault);
    this.synced = new Promise((done) => {
      this.#markSynced = done;
    });
  }

  /** By name. */
  get objects(): ReadonlyMap<string, KubeObject> {
    return this.#objects;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#markSynced();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#settle(error as KubeFault);
        if (!(error instanceof KubeFault && error.status === 403)) this.#forbiddenSince = undefined;
        else this.#forbiddenSince ??= performance.now();
        if (performance.now() - (this.#forbiddenSince ?? Number.POSITIVE_INFINITY) > FORBIDDEN_MS) this.#markSynced();
        await this.#wait(error);
      }
    }
  }

  /** Resolves never; rejects with what keeps a watch from going on. */
  async #follow(): Promise<void> {
    const { client, type, selection } = this.#options;
    let resourceVersion = await this.#list();
    this.#settle(undefined);
    this.#markSynced();
    while (!this.#stop.signal.aborted) {
      const since = performance.now();
      try {
        for await (const events of client.watch(type, { ...selection, resourceVersion, signal: this.#stop.signal })) {
          for (const { type: what, object } of events) {
            if (what === "DELETED") this.#objects.delete(object.metadata.name ?? "");
            else if (what !== "BOOKMARK") this.#objects.set(object.metadata.name ?? "", object);
          }
          resourceVersion = events.at(-1)?.object.metadata.resourceVersion ?? resourceVersion;
        }
      } finally {
        if (performance.now() - since > GOOD_WATCH_MS) this.#backoff.reset();
      }
      await this.#wait();
    }
  }

  async #list(): Promise<string> {
    const { client, type, selection } = this.#options;
    const listed = new Set<string>();
    let resourceVersion = "";
    for await (const page of client.pages(type, { ...selection, signal: this.#stop.signal })) {
      for (const object of page.items) {
        listed.add(object.metadata.name ?? "");
        this.#objects.set(object.metadata.name ?? "", object);
      }
      resourceVersion = page.resourceVersion;
    }
    for (const name of this.#objects.keys()) if (!listed.has(name)) this.#objects.delete(name);
    return resourceVersion;
  }

  async #wait(error?: unknown): Promise<void> {
    await sleep(this.#backoff.next(error), undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}
