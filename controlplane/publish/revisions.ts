// Counts the states of the sources, and tells which proxies have acknowledged which: the log that status and the demo
// read.
import type { Kind } from "../resources/kinds.js";
import type { SourceState } from "../sources/source.js";

export interface ObjectChange {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly change: "added" | "modified" | "removed";
}

/** What happened, in order; id counts from 1, at is an ISO 8601 time. */
export type RevisionEvent = { readonly id: number; readonly at: string; readonly revision: number } & (
  | {
      readonly type: "change";
      readonly changed: readonly ObjectChange[];
      /** Absent for an older state whose violations nobody asked for in time. */
      readonly violations: number | undefined;
    }
  | { readonly type: "acknowledged"; readonly proxy: string }
  | { readonly type: "rejected"; readonly proxy: string; readonly typeUrl: string; readonly error: string }
);

type NewEvent = RevisionEvent extends infer E
  ? E extends RevisionEvent
    ? Omit<E, "id" | "at" | "revision">
    : never
  : never;

const MAX_EVENTS = 1_000;
const MAX_WAITERS = 256;
/** So many states are kept whole, in case somebody asks for their violations; one may be larger than all that serves. */
const MAX_UNCOUNTED = 2;

export class Revisions {
  /** The newest state of the sources; 0 before the first. */
  #revision = 0;
  #nextId = 1;
  readonly #events: RevisionEvent[] = [];
  readonly #waiters = new Set<() => void>();
  /** Let go of the states of the last changes, oldest first. */
  readonly #uncounted: (() => void)[] = [];
  /** The last revision that changed something for a proxy, while it is not acknowledged yet. */
  readonly #outstanding = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  /** Those that acknowledged a state before it was published to the last of them. */
  readonly #early = new Set<string>();

  get revision(): number {
    return this.#revision;
  }

  /** The state that is being published, whose revision is the next one, changed something for the proxy. */
  touched(proxy: string): void {
    // All that came before did not concern it, or is acknowledged.
    if (!this.#outstanding.has(proxy)) this.#acknowledged.set(proxy, this.#revision);
    this.#outstanding.set(proxy, this.#revision + 1);
  }

  /** A new state was published to all proxies. */
  published(before: SourceState | undefined, state: SourceState, violations: () => number): void {
    this.#revision++;
    // Faults between objects are only looked for when somebody wants to know, while the state is at hand.
    let count: (() => number) | undefined = violations;
    let known: number | undefined;
    const event = {
      type: "change" as const,
      changed: changesBetween(before, state),
      get violations(): number | undefined {
        known ??= count?.();
        return known;
      },
    };
    this.#uncounted.push(() => {
      count = undefined;
    });
    if (this.#uncounted.length > MAX_UNCOUNTED) this.#uncounted.shift()?.();
    this.#add(event);
    for (const proxy of this.#early) this.#add({ type: "acknowledged", proxy });
    this.#early.clear();
  }

  /** A proxy connected and was published to. */
  connected(proxy: string): void {
    this.#outstanding.set(proxy, this.#revision);
  }

  disconnected(proxy: string): void {
    this.#outstanding.delete(proxy);
    this.#acknowledged.delete(proxy);
    this.#early.delete(proxy);
  }

  /** All that was sent to the proxy is answered. */
  settled(proxy: string): void {
    const revision = this.#outstanding.get(proxy);
    if (revision === undefined) return;
    this.#outstanding.delete(proxy);
    this.#acknowledged.set(proxy, revision);
    if (revision > this.#revision) this.#early.add(proxy);
    else this.#add({ type: "acknowledged", proxy });
  }

  rejected(proxy: string, typeUrl: string, error: string): void {
    this.#add({ type: "rejected", proxy, typeUrl, error });
  }

  /** The highest revision of which nothing is outstanding; one that changes nothing for the proxy counts at once. */
  acknowledgedBy(proxy: string): number {
    return this.#outstanding.has(proxy) ? (this.#acknowledged.get(proxy) ?? 0) : this.#revision;
  }

  /** The revision that the proxy has yet to answer; one more than the newest while that is published. */
  outstandingOf(proxy: string): number | undefined {
    return this.#outstanding.get(proxy);
  }

  /** The kept events after an id; waits for one, so long at most, when there is none. Milliseconds. */
  async eventsAfter(id: number, waitMillis: number): Promise<readonly RevisionEvent[]> {
    const after = () => this.#events.filter((event) => event.id > id);
    if (after().length > 0 || waitMillis <= 0 || this.#waiters.size >= MAX_WAITERS) return after();
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMillis);
      timer.unref();
      this.#waiters.add(done);
    });
    return after();
  }

  /** Ends all waiting. */
  close(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #add(event: NewEvent): void {
    const head = { id: this.#nextId++, at: new Date().toISOString(), revision: this.#revision };
    this.#events.push(Object.defineProperties(head, Object.getOwnPropertyDescriptors(event)) as RevisionEvent);
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    this.close();
  }
}

function changesBetween(before: SourceState | undefined, state: SourceState): ObjectChange[] {
  return [...state.changed].sort().flatMap((key): ObjectChange[] => {
    const now = state.resources.get(key);
    const was = before?.resources.get(key);
    const object = now ?? was;
    if (!object) return [];
    const change = now && was ? "modified" : now ? "added" : "removed";
    return [{ kind: object.kind, namespace: object.meta.namespace, name: object.meta.name, change }];
  });
}
