// Which versions the proxies of other control planes on the cluster run, so that each of them can tell of all.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../kube/client.js";
import { ReplicaLeases } from "../kube/replica-leases.js";
import { onChangedFault } from "../kube/told-faults.js";
import { decodeCounts, encodeCounts, sumCounts, type VersionCount } from "./version-counts.js";

export interface ReplicaVersionsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** See ReplicaLeasesOptions. */
  readonly group: string;
  readonly identity: string;
  /** What keeps this one from telling or hearing, once for each reason; undefined when that is over. */
  readonly onFault: (fault: Error | undefined) => void;
}

/** Of a report's time. A replica that was killed counts for so long. */
const SECONDS = 16;
/** Milliseconds: between two looks at what there is to tell, and how many of those make one at what others told. */
const TELL_EVERY = 1_000;
const LOOKS = 4;

export class ReplicaVersions {
  readonly #stop = new AbortController();
  readonly #leases: ReplicaLeases<readonly VersionCount[]>;
  readonly #settle: (fault: Error | undefined) => void;
  #running: Promise<void> | undefined;
  #hasTold = false;

  constructor({ onFault, ...options }: ReplicaVersionsOptions) {
    this.#leases = new ReplicaLeases({ ...options, seconds: SECONDS, signal: this.#stop.signal, decode: decodeCounts });
    this.#settle = onChangedFault(onFault);
  }

  /** Begins to tell what this control plane's own proxies run, as it is from moment to moment, and to hear of the others'. */
  start(own: () => readonly VersionCount[]): void {
    this.#running ??= this.#run(own);
  }

  /** Of all the others together, as it was some seconds ago. */
  get elsewhere(): readonly VersionCount[] {
    return sumCounts(this.#leases.reports.flatMap((counts) => counts ?? []));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#hasTold) await this.#leases.withdraw().catch(() => {});
  }

  async #run(own: () => readonly VersionCount[]): Promise<void> {
    const { signal } = this.#stop;
    for (let look = 0; !signal.aborted; look++) {
      try {
        await this.#tell(own());
        if (look % LOOKS === 0) await this.#leases.read();
        this.#settle(undefined);
      } catch (error) {
        if (!signal.aborted) this.#settle(error as Error);
      }
      await sleep(TELL_EVERY, undefined, { signal }).catch(() => {});
    }
  }

  /** Where there never was a rollout there is nothing to tell. */
  async #tell(counts: readonly VersionCount[]): Promise<void> {
    if (counts.length === 0 && !this.#hasTold) return;
    this.#hasTold = true;
    await this.#leases.tell(encodeCounts(counts));
  }
}
