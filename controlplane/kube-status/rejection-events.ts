// Events on policies that are refused, here or by Envoys: one for each policy and reason in the same words, which counts
// how often it came again.
import { createHash } from "node:crypto";
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeType } from "../kube/object.js";
import { microTime } from "../kube/time.js";
import { onChangedFault, refusalOf } from "../kube/told-faults.js";
import type { StatusTarget } from "./status-writer.js";

export interface RejectionEventsOptions {
  readonly client: KubeClient;
  /** Of this replica. */
  readonly identity: string;
  readonly onFault: (fault: KubeFault | undefined) => void;
}

/** Refused: its own faults keep it from being served. RejectedByProxy: an Envoy refused what came of it. */
export type RejectionReason = "Refused" | "RejectedByProxy";

const EVENTS: KubeType = { group: "events.k8s.io", version: "v1", plural: "events" };
const ACTIONS = { Refused: "Validate", RejectedByProxy: "Push" } as const;
const MOST_NOTE = 1_024;
/** So many at once, and then so many a second; those above it are left out, as the conditions tell of them too. */
const BURST = 50;
const PER_SECOND = 1;
const MOST_NAME = 253;
/** Milliseconds for what is still to be written at the end. */
const CLOSE_MS = 1_000;

export class RejectionEvents {
  readonly #options: RejectionEventsOptions;
  readonly #settle: (fault: KubeFault | undefined) => void;
  readonly #stop = new AbortController();
  #tokens = BURST;
  #countedAt = performance.now();
  #last: Promise<void> = Promise.resolve();

  constructor(options: RejectionEventsOptions) {
    this.#options = options;
    this.#settle = onChangedFault(options.onFault, refusalOf);
  }

  /** Writes it after those before; what cannot be written is told, and left out. */
  record(target: StatusTarget, reason: RejectionReason, note: string): void {
    if (!this.#takeToken()) return;
    this.#last = this.#last.then(() => this.#write(target, reason, note.slice(0, MOST_NOTE)));
  }

  /** Resolves when all are written, or given up after a while. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#stop.abort(), CLOSE_MS);
    await this.#last;
    clearTimeout(timer);
  }

  #takeToken(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#countedAt) / 1_000) * PER_SECOND);
    this.#countedAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  async #write(target: StatusTarget, reason: RejectionReason, note: string): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const { client, identity } = this.#options;
    const { kind, type, name, namespace = "default", uid } = target;
    const apiVersion = `${type.group}/${type.version}`;
    // The same on all replicas, so that none tells again what another told.
    const digest = createHash("sha1").update([uid, reason, note].join("\n")).digest("hex").slice(0, 16);
    const event = {
      metadata: { name: `${name.slice(0, MOST_NAME - digest.length - 1)}.${digest}`, namespace },
      eventTime: microTime(),
      reportingController: "headgate.dev/controlplane",
      reportingInstance: identity,
      type: "Warning",
      reason,
      action: ACTIONS[reason],
      note,
      regarding: { apiVersion, kind, name, namespace, uid },
    };
    try {
      await client.create(EVENTS, event, namespace, { signal });
      this.#settle(undefined);
    } catch (error) {
      if (error instanceof KubeFault && error.status === 409) await this.#repeat(event.metadata);
      else this.#settle(error as KubeFault);
    }
  }

  async #repeat(at: { readonly name: string; readonly namespace: string }): Promise<void> {
    const { signal } = this.#stop;
    try {
      const known = await this.#options.client.get(EVENTS, at, signal);
      const count = (known?.series as { readonly count?: number } | undefined)?.count ?? 1;
      const series = { count: count + 1, lastObservedTime: microTime() };
      await this.#options.client.merge(EVENTS, at, { series }, { signal });
      this.#settle(undefined);
    } catch (error) {
      this.#settle(error as KubeFault);
    }
  }
}
