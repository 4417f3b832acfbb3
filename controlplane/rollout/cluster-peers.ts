// Several control planes on a cluster: a Lease says which of them moves rollouts, and in a rollout's ConfigMap each tells what
// it sees of its own proxies.
import type { FollowedObjects } from "../kube/followed-objects.js";
import { Lease, type LeaseOptions } from "../kube/lease.js";
import { onChangedFault } from "../kube/told-faults.js";
import type { ClusterRollouts } from "./cluster-rollouts.js";
import type { Peers } from "./peers.js";
import type { Report } from "./report.js";
import { decodeReport, encodeReport } from "./report-text.js";

export interface ClusterPeersOptions {
  readonly followed: FollowedObjects;
  readonly rollouts: Pick<ClusterRollouts, "report" | "reports">;
  readonly lease: LeaseOptions;
  /** What keeps this one from telling. */
  readonly onFault: (error: Error) => void;
}

/** Milliseconds. */
const TELL_EVERY = 1_000;
const PATIENCE = 2_000;
/** After which another one that tells nothing new is taken to be gone. */
const SILENCE = 5_000;

export class ClusterPeers implements Peers {
  readonly patience = PATIENCE;
  readonly #options: ClusterPeersOptions;
  readonly #settle: (fault: Error | undefined) => void;
  readonly #heard = new Map<
    string,
    { readonly text: string; readonly at: number; readonly report: Report | undefined }
  >();
  #lease: Lease | undefined;
  #ledSince = Number.POSITIVE_INFINITY;
  #told: { readonly subject: string; readonly at: number } | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: ClusterPeersOptions) {
    this.#options = options;
    this.#settle = onChangedFault((fault) => fault && options.onFault(fault));
  }

  async start(signal?: AbortSignal): Promise<void> {
    const { followed } = this.#options;
    const giveUp = () => void followed.close();
    signal?.addEventListener("abort", giveUp, { once: true });
    followed.start();
    await followed.synced;
    signal?.removeEventListener("abort", giveUp);
  }

  /** Not before it can have heard from the others, which may not have been able to tell for as long as it did not lead. */
  get leads(): boolean {
    if (!this.#lease?.leads) return false;
    return performance.now() - this.#ledSince >= PATIENCE;
  }

  /** The Lease is asked for from the first time on that there is something to do for it. */
  seek(): void {
    if (this.#lease) return;
    this.#lease = new Lease(this.#options.lease);
    this.#lease.follow((leads) => {
      this.#ledSince = leads ? performance.now() : Number.POSITIVE_INFINITY;
    });
    this.#lease.start();
  }

  /** At most once a second, but a new step at once. */
  tell(rollout: string, report: Report): void {
    const now = performance.now();
    const subject = `${rollout}/${report.step}`;
    if (this.#telling || (this.#told?.subject === subject && now - this.#told.at < TELL_EVERY)) return;
    this.#told = { subject, at: now };
    const { rollouts, lease } = this.#options;
    this.#telling = rollouts
      .report(rollout, lease.identity, encodeReport(report, new Date().toISOString()))
      .then(
        () => this.#settle(undefined),
        (error: Error) => this.#settle(error),
      )
      .finally(() => {
        this.#telling = undefined;
      });
  }

  heard(rollout: string): readonly Report[] {
    const now = performance.now();
    const told = this.#options.rollouts.reports(rollout);
    for (const replica of this.#heard.keys()) if (!told.has(replica)) this.#heard.delete(replica);
    for (const [replica, text] of told) {
      if (replica === this.#options.lease.identity || this.#heard.get(replica)?.text === text) continue;
      this.#heard.set(replica, { text, at: now, report: decodeReport(text) });
    }
    return [...this.#heard.values()].flatMap(({ at, report }) => (now - at < SILENCE && report ? report : []));
  }

  async close(): Promise<void> {
    await this.#telling;
    await this.#lease?.close();
    await this.#options.followed.close();
  }
}
