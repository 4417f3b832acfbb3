// The source that reads a cluster: one feed for each kind and namespace, and what they know as one state.
import { isDeepStrictEqual } from "node:util";
import type { KubeClient } from "../kube/client.js";
import type { KubeType, Selection } from "../kube/object.js";
import { deepFreeze } from "../resources/freeze.js";
import type { AnyResource, Kind } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";
import { makeViolation } from "../resources/violation-at.js";
import { Discovery } from "./kubernetes-discovery.js";
import { KubernetesFeed } from "./kubernetes-feed.js";
import { KUBERNETES_KINDS, type KubernetesKind } from "./kubernetes-kinds.js";
import { KubernetesObjects } from "./kubernetes-objects.js";
import { PassSchedule } from "./pass-schedule.js";
import { createReader, type Reader } from "./reader.js";
import type { Source, SourceState } from "./source.js";

export interface KubernetesSourceOptions {
  /** Stays open when the source closes. */
  readonly client: KubeClient;
  /** Where objects that belong to the cluster as a whole are kept. */
  readonly defaultNamespace: string;
  /** By default all that Headgate knows. */
  readonly kinds?: readonly Kind[];
  /** Only objects of these namespaces are read, beside those of the cluster as a whole; by default those of all. */
  readonly namespaces?: readonly string[];
  /** Only Secrets of these are read; by default those of the namespaces above. */
  readonly secretNamespaces?: readonly string[];
  /** Only policies with these labels are read, as in `app=a,env in (x,y)`. */
  readonly policySelector?: string;
  /** Milliseconds without an event before changes are told; by default 10. */
  readonly quietMs?: number;
  /** See FeedOptions; by default 5,000 and 4,000. */
  readonly lookMs?: number;
  readonly mostBackoffMs?: number;
  /** Closed with the source. */
  readonly reader?: Reader;
  /** Told what keeps objects from being followed, and that they are followed again. */
  readonly onNotice?: (notice: string) => void;
  /** Ends the wait for a cluster that cannot be read: the start rejects. */
  readonly signal?: AbortSignal;
}

/** Which object of the cluster a resource came from. */
export interface KubernetesObject {
  readonly type: KubeType;
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** What came of this generation, or of the last good one; absent where none was good. */
  readonly resource?: AnyResource;
  /** Of this generation. */
  readonly violations: readonly Violation[];
}

/** Policies of one kind as they are listed. */
export interface PolicyList {
  readonly kind: Kind;
  readonly type: KubeType;
  readonly selection: Selection;
}

export interface KubernetesSource extends Source {
  /** The object behind a resourceKey, whether or not it is good, as the cluster says it is now. */
  object(key: string): KubernetesObject | undefined;
  /** The resourceKeys of all policies. */
  policies(): Iterable<string>;
  /** How to list all policies of the kinds that the cluster has. */
  policyLists(): readonly PolicyList[];
}

/** Resolves its start when every kind was listed, however long the cluster cannot be reached until then. */
export function createKubernetesSource(options: KubernetesSourceOptions): KubernetesSource {
  return new ClusterSource(options);
}

interface KindFeed {
  readonly kind: Kind;
  readonly described: KubernetesKind;
  readonly feed: KubernetesFeed;
}

class ClusterSource implements KubernetesSource {
  private readonly reader: Reader;
  private readonly feeds: readonly KindFeed[];
  private readonly schedule: PassSchedule;
  private state: SourceState = deepFreeze({ resources: new Map(), violations: [], changed: new Set<string>() });
  private told: ReadonlyMap<string, string> = new Map();
  private onChange: ((state: SourceState) => void) | undefined;
  private closed = false;

  constructor(private readonly options: KubernetesSourceOptions) {
    this.reader = options.reader ?? createReader();
    this.schedule = new PassSchedule(async () => this.pass(), options.quietMs ?? 10);
    const discovery = new Discovery(options.client);
    const kinds = options.kinds ?? (Object.keys(KUBERNETES_KINDS) as Kind[]);
    this.feeds = kinds.flatMap((kind) => this.feedsOf(kind, discovery));
  }

  async start(onChange: (state: SourceState) => void): Promise<SourceState> {
    for (const { feed } of this.feeds) feed.start();
    try {
      await this.unlessStopped(Promise.all(this.feeds.map(({ feed }) => feed.synced)));
    } catch (error) {
      await this.close();
      throw error;
    }
    this.tell();
    const first = this.nextState();
    this.onChange = onChange;
    return first;
  }

  async close(): Promise<void> {
    this.closed = true;
    // A feed may be waiting for the reader.
    await Promise.all([...this.feeds.map(({ feed }) => feed.close()), this.schedule.close(), this.reader.close()]);
  }

  object(key: string): KubernetesObject | undefined {
    const [kind, namespace, name] = key.split("/") as [string, string, string];
    for (const { kind: fed, described, feed } of this.feeds) {
      const entry = fed === kind ? feed.objects.get(key) : undefined;
      if (entry === undefined || feed.type === undefined) continue;
      const place = described.clusterWide ? { name } : { namespace, name };
      const { uid, generation, resource, violations } = entry;
      const served = resource === undefined ? {} : { resource };
      return { type: feed.type, ...place, uid, generation, violations, ...served };
    }
    return undefined;
  }

  *policies(): Iterable<string> {
    for (const { described, feed } of this.feeds) if (described.policy) yield* feed.objects.keys();
  }

  policyLists(): readonly PolicyList[] {
    return this.feeds.flatMap(({ kind, described, feed: { type, selection } }) =>
      described.policy && type !== undefined ? [{ kind, type, selection }] : [],
    );
  }

  private feedsOf(kind: Kind, discovery: Discovery): readonly KindFeed[] {
    const { client, defaultNamespace, lookMs = 5_000, mostBackoffMs = 4_000 } = this.options;
    const described = KUBERNETES_KINDS[kind];
    return this.selectionsOf(kind).map((selection) => {
      const costly = described.policy === true;
      const objects = new KubernetesObjects({ kind, defaultNamespace, reader: this.reader, costly });
      const onChange = () => this.schedule.event();
      const feed = { client, discovery, kind: described, selection, objects, onChange, lookMs, mostBackoffMs };
      return { kind, described, feed: new KubernetesFeed(feed) };
    });
  }

  private selectionsOf(kind: Kind): readonly Selection[] {
    const { policy, clusterWide, fieldSelectors } = KUBERNETES_KINDS[kind];
    const { namespaces, secretNamespaces = namespaces, policySelector } = this.options;
    const scopes = clusterWide ? undefined : kind === "Secret" ? secretNamespaces : namespaces;
    const byLabel = policy && policySelector !== undefined ? { labelSelector: policySelector } : {};
    return (scopes?.map((namespace) => ({ namespace })) ?? [{}]).flatMap((scope) =>
      (fieldSelectors?.map((fieldSelector) => ({ fieldSelector })) ?? [{}]).map((byField) => ({
        ...scope,
        ...byLabel,
        ...byField,
      })),
    );
  }

  private async unlessStopped(work: Promise<unknown>): Promise<void> {
    const { signal } = this.options;
    if (signal === undefined) {
      await work;
      return;
    }
    const stopped = new Promise<never>((_, reject) => {
      const stop = () => reject(new Error("Stopped before the cluster was read."));
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    await Promise.race([work, stopped]);
  }

  private pass(): void {
    if (this.closed) return;
    this.tell();
    if (this.onChange === undefined) return;
    const before = this.state;
    const state = this.nextState();
    if (state !== before) this.onChange(state);
  }

  /** The state as the feeds know it now; the same one where nothing differs. */
  private nextState(): SourceState {
    const before = this.state;
    const updates = new Map<string, AnyResource | undefined>();
    const violations: Violation[] = [];
    for (const { kind, feed } of this.feeds) {
      if (feed.fault?.status === 403) violations.push(unreadable(kind, feed.fault.message));
      violations.push(...feed.objects.violations);
      for (const key of feed.objects.takeTouched()) {
        const resource = this.resourceAt(kind, key);
        if (before.resources.get(key) !== resource) updates.set(key, resource);
      }
    }
    if (updates.size === 0 && isDeepStrictEqual(violations, before.violations)) return before;
    const resources = new Map(before.resources);
    for (const [key, resource] of updates) {
      if (resource === undefined) resources.delete(key);
      else resources.set(key, resource);
    }
    this.state = deepFreeze({ resources, violations, changed: new Set(updates.keys()) });
    return this.state;
  }

  /** What one of the kind's feeds has: a secret may have gone from one to the other with its type. */
  private resourceAt(kind: Kind, key: string): AnyResource | undefined {
    let found: AnyResource | undefined;
    for (const one of this.feeds) if (one.kind === kind) found = one.feed.objects.get(key)?.resource ?? found;
    return found;
  }

  /** Tells each fault once, with the kinds that it keeps from being followed. */
  private tell(): void {
    const kinds = new Map<string, Set<string>>();
    for (const { kind, feed } of this.feeds) {
      if (feed.fault === undefined) continue;
      kinds.set(feed.fault.message, (kinds.get(feed.fault.message) ?? new Set()).add(kind));
    }
    const now = new Map([...kinds].map(([message, of]) => [message, [...of].join(", ")]));
    for (const [message, of] of now) {
      if (!this.told.has(message)) this.options.onNotice?.(`cannot follow ${of}: ${message}`);
    }
    if (this.told.size > 0 && now.size === 0) this.options.onNotice?.("every kind is followed again");
    this.told = now;
  }
}

function unreadable(kind: Kind, message: string): Violation {
  const advice = `Headgate may not read ${kind} objects: ${message}. Allow its account to list and watch them.`;
  return makeViolation("kind-unreadable", "error", [], advice, undefined, { kind });
}
