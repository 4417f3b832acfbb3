// Which of several replicas leads: one Lease of the API server, which the leader renews and another takes when it lapses.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "./client.js";
import { KubeFault, type KubeObject, type KubeType } from "./object.js";
import { microTime } from "./time.js";
import { onChangedFault } from "./told-faults.js";

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process, also after a restart; the Lease shows it as its holder. */
  readonly identity: string;
  /** How long others wait for a leader that they hear nothing of. Whole seconds; 8 by default. */
  readonly seconds?: number;
  /** Why the lease can neither be asked for nor kept, once for each reason; undefined when that is over. */
  readonly onFault?: (fault: KubeFault | undefined) => void;
}

export type LeadershipListener = (leads: boolean) => void;

/** Of the lease's time: between two looks, and after which a leader that could not renew leads no more. */
const LOOK = 1 / 4;
const KEPT = 3 / 4;
export const LEASES: KubeType = { group: "coordination.k8s.io", version: "v1", plural: "leases" };

interface Seen {
  readonly resourceVersion: string | undefined;
  readonly at: number;
}

/**
 * At most one process leads at a time as long as clocks run equally fast; what they show does not matter. A leader whose
 * renewals fail gives up before others may take over, counted from before its last good renewal was sent.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #settleFault: (fault: KubeFault | undefined) => void;
  readonly #millis: number;
  readonly #listeners = new Set<LeadershipListener>();
  readonly #stop = new AbortController();
  #request = new AbortController();
  #running: Promise<void> | undefined;
  #leadsUntil = 0;
  #told = false;
  #end: NodeJS.Timeout | undefined;
  #seen: Seen | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#settleFault = onChangedFault((fault) => options.onFault?.(fault));
    this.#millis = (options.seconds ?? 8) * 1_000;
  }

  /** Whether this process leads now; ask right before what only a leader may do. */
  get leads(): boolean {
    return performance.now() < this.#leadsUntil;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Tells at once and with every change whether this process leads, until the returned function is called. */
  follow(listener: LeadershipListener): () => void {
    this.#listeners.add(listener);
    listener(this.#told);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Leads no more, and lets another take over at once. What must have ended by then is closed first. Never rejects: a
   * lease that cannot be given back lapses.
   */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#request.abort();
    await this.#running;
    this.#leadUntil(0);
    if (this.#running !== undefined) await this.#within((signal) => this.#release(signal)).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#within((signal) => this.#look(signal));
        this.#settleFault(undefined);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // Two that ask at the same moment: one of them is refused, and will see who has it.
        this.#settleFault(error instanceof KubeFault && error.status === 409 ? undefined : (error as KubeFault));
      }
      await sleep(this.#millis * LOOK, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** Takes the lease where nobody has it, and renews it where it is ours. */
  async #look(signal: AbortSignal): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const since = performance.now();
    const lease = await client.get(LEASES, { namespace, name }, signal);
    if (lease === undefined) {
      await client.create(LEASES, { metadata: { name }, spec: this.#specAfter({}) }, namespace, { signal });
    } else {
      const spec = specOf(lease);
      if (spec.holderIdentity !== identity && !this.#isFree(lease)) {
        this.#leadUntil(0);
        return;
      }
      await client.replace(LEASES, { namespace, name }, { ...lease, spec: this.#specAfter(spec) }, { signal });
    }
    this.#leadUntil(since + this.#millis * KEPT);
  }

  /** Nobody holds it, or its holder has not renewed it for its time, as far as was seen from here. */
  #isFree(lease: KubeObject): boolean {
    const { resourceVersion } = lease.metadata;
    const { holderIdentity, leaseDurationSeconds } = specOf(lease);
    if (!holderIdentity) return true;
    const now = performance.now();
    if (this.#seen === undefined || this.#seen.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, at: now };
    }
    return now - this.#seen.at > (leaseDurationSeconds ? leaseDurationSeconds * 1_000 : this.#millis);
  }

  #specAfter({ holderIdentity, acquireTime, leaseTransitions = 0 }: LeaseSpec): LeaseSpec {
    const { identity } = this.#options;
    const now = microTime();
    const held = holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: this.#millis / 1_000,
      acquireTime: held && acquireTime !== undefined ? acquireTime : now,
      renewTime: now,
      leaseTransitions: held ? leaseTransitions : leaseTransitions + 1,
    };
  }

  async #release(signal: AbortSignal): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const lease = await client.get(LEASES, { namespace, name }, signal);
    if (lease === undefined || specOf(lease).holderIdentity !== identity) return;
    const { holderIdentity, ...spec } = specOf(lease);
    await client.replace(LEASES, { namespace, name }, { ...lease, spec }, { signal });
  }

  #leadUntil(time: number): void {
    this.#leadsUntil = time;
    clearTimeout(this.#end);
    const left = time - performance.now();
    // Timers may fire a little early.
    if (left > 0) this.#end = setTimeout(() => this.#leadUntil(this.leads ? time : 0), left + 1);
    const { leads } = this;
    if (leads === this.#told) return;
    this.#told = leads;
    for (const listener of [...this.#listeners]) listener(leads);
  }

  /** Gives requests up that take so long that there is no time for another try. */
  async #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const request = new AbortController();
    this.#request = request;
    const millis = this.#millis * LOOK;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      request.abort();
    }, millis);
    try {
      return await work(request.signal);
    } catch (error) {
      throw isLate ? new KubeFault(`The API server did not answer within ${millis / 1_000} s.`, 0, "Silent") : error;
    } finally {
      clearTimeout(timer);
    }
  }
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

function specOf(lease: KubeObject): LeaseSpec {
  return (lease.spec ?? {}) as LeaseSpec;
}
