// Follows the objects of one kind, in one namespace or all: lists them, watches on from there, and lists again where
// the watch cannot go on. Nothing that it knows goes but by the server's word.
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../kube/backoff.js";
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeObject, type KubeType, type Selection, type WatchEvent } from "../kube/object.js";
import type { Discovery } from "./kubernetes-discovery.js";
import type { KubernetesKind } from "./kubernetes-kinds.js";
import type { KubernetesObjects } from "./kubernetes-objects.js";

export interface FeedOptions {
  readonly client: KubeClient;
  readonly discovery: Discovery;
  readonly kind: KubernetesKind;
  readonly selection: Selection;
  readonly objects: KubernetesObjects;
  /** Objects may have come, changed or gone, or `fault` has. */
  readonly onChange: () => void;
  /** Milliseconds between looks for a custom resource that the cluster does not have. */
  readonly lookMs: number;
  /** Milliseconds that what fails is put off for at most. */
  readonly mostBackoffMs: number;
}

/** A watch that fails so often without a change is not gone on with. */
const MOST_WATCH_FAILURES = 3;
/** Milliseconds. A watch that lasted for longer was none that failed. */
const GOOD_WATCH_MS = 500;
/** Milliseconds. A server that starts refuses what it will allow a moment later. */
const FORBIDDEN_MS = 1_500;

export class KubernetesFeed {
  /** Resolves when the objects were listed for the first time, or cannot be because the cluster forbids it. */
  readonly synced: Promise<void>;
  private readonly stop = new AbortController();
  private readonly backoff: Backoff;
  private forbiddenSince: number | undefined;
  private currentFault: KubeFault | undefined;
  private currentType: KubeType | undefined;
  private markSynced: () => void = () => {};
  private running: Promise<void> | undefined;

  constructor(private readonly options: FeedOptions) {
    this.backoff = new Backoff({ most: options.mostBackoffMs });
    this.synced = new Promise((done) => {
      this.markSynced = done;
    });
  }

  /** Why the objects cannot be followed at the moment. */
  get fault(): KubeFault | undefined {
    return this.currentFault;
  }

  /** How the cluster serves the objects, as far as that is known. */
  get type(): KubeType | undefined {
    return this.currentType;
  }

  get selection(): Selection {
    return this.options.selection;
  }

  get objects(): KubernetesObjects {
    return this.options.objects;
  }

  start(): void {
    this.running ??= this.run();
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    let absences = 0;
    while (!this.stopped) {
      try {
        const type = await this.options.discovery.find(this.options.kind);
        this.currentType = type;
        if (type === undefined) {
          // A server that starts may not know its own resources yet, so what is known is not given up at the first word.
          if (++absences > 1) this.keepOnly(new Set());
          this.settle(undefined);
          await this.wait(this.options.lookMs);
          continue;
        }
        absences = 0;
        await this.follow(type);
      } catch (error) {
        this.settle(error as KubeFault);
        await this.wait(this.backoff.next(error));
      }
    }
  }

  /** Lists, and watches for as long as that can be gone on with; rejects with what keeps the objects from being read. */
  private async follow(type: KubeType): Promise<void> {
    let resourceVersion = await this.list(type);
    this.settle(undefined);
    let failures = 0;
    while (!this.stopped && failures < MOST_WATCH_FAILURES) {
      const since = performance.now();
      let fault: KubeFault | undefined;
      try {
        for await (const events of this.watch(type, resourceVersion)) {
          await this.take(events, type);
          resourceVersion = events.at(-1)?.object.metadata.resourceVersion ?? resourceVersion;
        }
      } catch (error) {
        if (this.stopped) return;
        if (!(error instanceof KubeFault) || error.status === 403 || error.status === 404) throw error;
        fault = error;
      }
      const isGood = performance.now() - since > GOOD_WATCH_MS;
      if (isGood) this.backoff.reset();
      else if (!fault?.isExpired) this.settle(fault);
      // While nobody answers there is nobody to list from either.
      failures = isGood || fault === undefined || fault.status === 0 ? 0 : failures + 1;
      await this.wait(this.backoff.next(fault));
      if (fault?.isExpired) return;
    }
  }

  private watch(type: KubeType, resourceVersion: string) {
    const { selection, client } = this.options;
    const onOpen = () => this.settle(undefined);
    return client.watch(type, { ...selection, resourceVersion, onOpen, signal: this.stop.signal });
  }

  /** Takes a whole list in, page by page, and gives the version that a watch goes on from. */
  private async list(type: KubeType): Promise<string> {
    const listed = new Set<string>();
    let resourceVersion = "";
    for await (const page of this.options.client.pages(type, { ...this.options.selection, signal: this.stop.signal })) {
      for (const object of page.items) listed.add(this.objects.keyOf(object));
      await this.objects.put(page.items, apiVersionOf(type));
      this.options.onChange();
      resourceVersion = page.resourceVersion;
    }
    this.keepOnly(listed);
    return resourceVersion;
  }

  private keepOnly(listed: ReadonlySet<string>): void {
    this.objects.keepOnly(listed);
    this.options.onChange();
  }

  private async take(events: readonly WatchEvent[], type: KubeType): Promise<void> {
    const changes = events
      .filter(({ type: what }) => what !== "BOOKMARK")
      .map(({ type: what, object }: { type: string; object: KubeObject }) => ({ object, gone: what === "DELETED" }));
    if (changes.length === 0) return;
    await this.objects.change(changes, apiVersionOf(type));
    this.options.onChange();
  }

  /** What stands now: a fault, or that all is well. */
  private settle(fault: KubeFault | undefined): void {
    const changed = this.currentFault?.message !== fault?.message;
    this.currentFault = fault;
    if (fault?.status !== 403) this.forbiddenSince = undefined;
    else this.forbiddenSince ??= performance.now();
    // Kinds that may not be read must not keep the others from being served.
    const isForbidden = performance.now() - (this.forbiddenSince ?? Number.POSITIVE_INFINITY) > FORBIDDEN_MS;
    if (fault === undefined || isForbidden) this.markSynced();
    if (changed) this.options.onChange();
  }

  private get stopped(): boolean {
    return this.stop.signal.aborted;
  }

  private async wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.stop.signal }).catch(() => {});
  }
}

function apiVersionOf({ group, version }: KubeType): string {
  return group === "" ? version : `${group}/${version}`;
}
