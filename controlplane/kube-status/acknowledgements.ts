// Counts, for each policy, which of this replica's proxies are concerned with it and have acknowledged or rejected it: by
// the ADS server's own record of what was answered.
import type { Mesh } from "../mesh/mesh.js";
import { push } from "../mesh/workloads.js";
import type { Proxy } from "../proxy/proxy.js";
import type { Revisions } from "../publish/revisions.js";
import { Slices } from "../publish/slices.js";
import type { SourceState } from "../sources/source.js";
import { viewOf } from "../translate/view.js";
import type { AdsEvent } from "../xds/events.js";
import type { ProxyStatus } from "../xds/status.js";
import { Concerns } from "./concerns.js";
import { mentions } from "./mentions.js";

/** Of proxies. Those that neither acknowledged nor rejected it have yet to answer. */
export interface Count {
  readonly concerned: number;
  readonly acknowledged: number;
  readonly rejected: number;
  /** One of Envoy's own messages, where any rejected it. */
  readonly error?: string;
}

export interface AcknowledgementSources {
  readonly publisher: { readonly mesh: Mesh; readonly proxies: ReadonlyMap<string, Proxy> };
  readonly revisions: Pick<Revisions, "revision" | "acknowledgedBy" | "outstandingOf">;
  readonly statuses: (proxy: string) => readonly ProxyStatus[];
  /** Something may have come out otherwise than at the last count. */
  readonly onChange: () => void;
}

/** Milliseconds after which a new proxy counts though it has not taken its first configuration in yet. */
const NEWCOMER_MS = 30_000;

interface Rejection {
  readonly typeUrl: string;
  readonly version: string;
  readonly error: string;
  /** Resources at fault, as far as known. */
  readonly names: readonly string[];
  /** It is for one of the policies that changed after the first of these revisions, up to the second, */
  readonly after: number;
  readonly until: number;
  /** or, where no policy had changed, for one that the resources' names tell of. */
  readonly namedOnly: boolean;
}

export class Acknowledgements {
  readonly #sources: AcknowledgementSources;
  readonly #concerns = new Concerns();
  readonly #slices = new Slices();
  /** By resourceKey, the revision that brought the policy as it is. */
  readonly #changedAt = new Map<string, number>();
  #lastChange = 0;
  /** Proxies that have answered all of their first configuration, and those that are still at it. */
  readonly #settled = new Set<string>();
  readonly #newcomers = new Map<string, NodeJS.Timeout>();
  /** By proxy and type: only the last one of a type stands. */
  readonly #rejections = new Map<string, Map<string, Rejection>>();
  /** Proxies that had something to acknowledge at the last count. */
  #behind: ReadonlySet<string> = new Set();
  #resources: SourceState["resources"] = new Map();

  constructor(sources: AcknowledgementSources) {
    this.#sources = sources;
  }

  /** A state was published, under the newest revision. `isPolicy` tells which keys to count. */
  taken({ resources, changed }: SourceState, isPolicy: (key: string) => boolean): void {
    this.#resources = resources;
    for (const key of changed) {
      if (!isPolicy(key)) continue;
      this.#lastChange = this.#sources.revisions.revision;
      if (resources.has(key)) this.#changedAt.set(key, this.#lastChange);
      else this.#changedAt.delete(key);
    }
  }

  /** Something happened on the ADS server. */
  event(event: AdsEvent): void {
    if (event.type === "connect") this.#connected(event.key);
    if (event.type === "nack") this.#rejected(event);
    if (event.type !== "answered") return;
    this.#welcome(event.key);
    if (this.#behind.has(event.key) || this.#rejections.has(event.key)) this.#sources.onChange();
  }

  /** By resourceKey; policies that concern none of the proxies are left out. Lets others have their turn meanwhile. */
  async count(): Promise<ReadonlyMap<string, Count>> {
    const { publisher, revisions } = this.#sources;
    const { mesh, proxies } = publisher;
    const counts = new Map<string, Counting>();
    const behind = new Set<string>();
    const byView = new Map<string, Proxy[]>();
    for (const id of this.#settled) {
      const proxy = proxies.get(id);
      if (proxy !== undefined) push(byView, viewOf(mesh, proxy), proxy);
      if (revisions.acknowledgedBy(id) < this.#lastChange) behind.add(id);
    }
    this.#behind = behind;
    for (const alike of byView.values()) {
      const [first] = alike;
      if (first === undefined) continue;
      const concerns = await this.#slices.finish(this.#concerns.ofView(mesh, first));
      const acknowledged = alike.map(({ id }) => revisions.acknowledgedBy(id));
      const least = Math.min(...acknowledged);
      for (const key of concerns) {
        const since = this.#changedAt.get(key) ?? 0;
        const have = least >= since ? alike.length : acknowledged.filter((revision) => revision >= since).length;
        add(counts, key, alike.length, have);
      }
      for (const proxy of alike) {
        for (const key of this.#concerns.ofProxy(mesh, proxy)) {
          const has = revisions.acknowledgedBy(proxy.id) >= (this.#changedAt.get(key) ?? 0);
          add(counts, key, 1, has ? 1 : 0);
        }
        for (const [key, error] of this.#rejectedBy(proxy, [...concerns, ...this.#concerns.ofProxy(mesh, proxy)])) {
          const has = revisions.acknowledgedBy(proxy.id) >= (this.#changedAt.get(key) ?? 0);
          const count = add(counts, key, 0, has ? -1 : 0);
          count.rejected++;
          count.error ??= error;
        }
      }
      await this.#slices.turn();
    }
    return counts;
  }

  /** The last stream of the proxy ended. */
  gone(key: string): void {
    clearTimeout(this.#newcomers.get(key));
    this.#newcomers.delete(key);
    this.#rejections.delete(key);
    if (this.#settled.delete(key)) this.#sources.onChange();
  }

  close(): void {
    for (const timer of this.#newcomers.values()) clearTimeout(timer);
  }

  #connected(key: string): void {
    this.#settled.delete(key);
    clearTimeout(this.#newcomers.get(key));
    const timer = setTimeout(() => this.#welcome(key), NEWCOMER_MS);
    timer.unref();
    this.#newcomers.set(key, timer);
  }

  #welcome(key: string): void {
    clearTimeout(this.#newcomers.get(key));
    if (!this.#newcomers.delete(key)) return;
    this.#settled.add(key);
    this.#sources.onChange();
  }

  #rejected({ key, typeUrl, version, error, names }: Extract<AdsEvent, { type: "nack" }>): void {
    const { revisions } = this.#sources;
    const outstanding = revisions.outstandingOf(key);
    const namedOnly = outstanding === undefined;
    const after = namedOnly ? 0 : revisions.acknowledgedBy(key);
    const rejection = { typeUrl, version, error, names, after, until: outstanding ?? revisions.revision, namedOnly };
    this.#rejections.set(key, (this.#rejections.get(key) ?? new Map()).set(typeUrl, rejection));
    this.#sources.onChange();
  }

  /** Which of the policies that concern the proxy it rejects, as far as can be told, with its words. */
  #rejectedBy(proxy: Proxy, concerns: readonly string[]): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    const rejections = this.#rejections.get(proxy.id);
    if (rejections === undefined) return found;
    const types = this.#sources.statuses(proxy.id).flatMap(({ types }) => types);
    for (const rejection of rejections.values()) {
      const { typeUrl, version, error, names, after, until, namedOnly } = rejection;
      if (!types.some((type) => type.typeUrl === typeUrl && type.error?.version === version)) {
        rejections.delete(typeUrl);
        continue;
      }
      const suspects = concerns.filter((key) => {
        const changed = this.#changedAt.get(key) ?? 0;
        return changed > after && changed <= until;
      });
      const named = suspects.filter((key) => {
        const resource = this.#resources.get(key);
        return resource !== undefined && names.some((name) => mentions(name, resource));
      });
      for (const key of named.length > 0 || namedOnly ? named : suspects) found.set(key, error);
    }
    if (rejections.size === 0) this.#rejections.delete(proxy.id);
    return found;
  }
}

type Counting = { -readonly [Part in keyof Count]: Count[Part] };

function add(counts: Map<string, Counting>, key: string, concerned: number, acknowledged: number): Counting {
  const known = counts.get(key);
  if (known === undefined) {
    const count: Counting = { concerned, acknowledged, rejected: 0 };
    counts.set(key, count);
    return count;
  }
  known.concerned += concerned;
  known.acknowledged += acknowledged;
  return known;
}

/** Of the proxies of two replicas. */
export function sum(one: Count, other: Count): Count {
  const error = one.error ?? other.error;
  return {
    concerned: one.concerned + other.concerned,
    acknowledged: one.acknowledged + other.acknowledged,
    rejected: one.rejected + other.rejected,
    ...(error === undefined ? {} : { error }),
  };
}
