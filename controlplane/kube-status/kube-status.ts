// Tells the cluster what became of each policy: conditions and events, written by the replica that leads, from what it and
// the others know of their proxies.

import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../kube/client.js";
import { Lease } from "../kube/lease.js";
import { KubeFault } from "../kube/object.js";
import { ReplicaLeases } from "../kube/replica-leases.js";
import { Slices } from "../publish/slices.js";
import type { Kind } from "../resources/kinds.js";
import type { Violation } from "../resources/violation.js";
import type { KubernetesSource } from "../sources/kubernetes.js";
import { KUBERNETES_KINDS } from "../sources/kubernetes-kinds.js";
import type { SourceState } from "../sources/source.js";
import type { AdsEvent } from "../xds/events.js";
import { type AcknowledgementSources, Acknowledgements } from "./acknowledgements.js";
import { LeadingTerm } from "./leading-term.js";
import { decodeReport, encodeReport, policyId, type Report } from "./report.js";

export interface KubeStatusOptions {
  /** The Lease by which replicas agree on the one that writes. */
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Of this process; a name that no other has, also after a restart. A part of objects' names. */
  readonly identity: string;
  /** Milliseconds between two looks at what is to be told; 1,000 by default. */
  readonly roundMs?: number;
  /** See LeaseOptions; 8 by default. Other replicas are counted until they are silent for twice as long. */
  readonly leaseSeconds?: number;
  /** Told who leads, what keeps statuses from being written, and that it is over. */
  readonly onNotice?: (notice: string) => void;
}

export interface KubeStatusSources extends Omit<AcknowledgementSources, "onChange"> {
  readonly client: KubeClient;
  readonly source: Pick<KubernetesSource, "object" | "policies" | "policyLists">;
  readonly defaultNamespace: string;
  /** Faults that show when objects are looked at together, and those of modules. */
  readonly violations: () => readonly Violation[];
}

/** Of a round's time the pause after it, so that a large mesh does not keep a control plane busy with telling. */
const REST = 5;
/** Changes of these alone say nothing of policies. */
const UNRELATED: ReadonlySet<string> = new Set(["EndpointSlice", "Pod", "Node"]);

export class KubeStatus {
  readonly #sources: KubeStatusSources;
  readonly #options: KubeStatusOptions;
  readonly #acknowledgements: Acknowledgements;
  readonly #lease: Lease;
  readonly #replicas: ReplicaLeases<Report>;
  readonly #stop = new AbortController();
  readonly #slices = new Slices();
  #state: SourceState | undefined;
  #isDirty = false;
  #report: Report = new Map();
  #term: LeadingTerm | undefined;
  #running: Promise<void> | undefined;
  readonly #faults = new Map<string, string>();

  constructor(sources: KubeStatusSources, options: KubeStatusOptions) {
    this.#sources = sources;
    this.#options = options;
    this.#acknowledgements = new Acknowledgements({ ...sources, onChange: () => this.changed() });
    const { client } = sources;
    const { lease, identity, leaseSeconds = 8 } = options;
    const onFault = (fault: KubeFault | undefined) => this.#settle("take part in the lease", fault);
    this.#lease = new Lease({ client, ...lease, identity, seconds: leaseSeconds, onFault });
    this.#replicas = new ReplicaLeases({
      client,
      namespace: lease.namespace,
      group: lease.name,
      identity,
      seconds: 2 * leaseSeconds,
      signal: this.#stop.signal,
      decode: decodeReport,
    });
  }

  start(): void {
    this.#lease.follow((leads) => {
      if (leads) this.#options.onNotice?.("this replica writes the statuses");
    });
    this.#lease.start();
    this.#running ??= this.#run();
  }

  /** A state was published, under the newest revision. */
  taken(state: SourceState): void {
    const violations = this.#state?.violations;
    this.#state = state;
    this.#acknowledgements.taken(state, isPolicy);
    if (violations !== state.violations || [...state.changed].some((key) => !UNRELATED.has(kindOf(key))))
      this.changed();
  }

  event(event: AdsEvent): void {
    this.#acknowledgements.event(event);
  }

  /** The last stream of the proxy ended. */
  gone(proxy: string): void {
    this.#acknowledgements.gone(proxy);
  }

  /** What the statuses are made from may be otherwise. */
  changed(): void {
    this.#isDirty = true;
  }

  /** Writes no more, and lets another replica lead at once. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#endTerm();
    await this.#running;
    await this.#endTerm();
    this.#acknowledgements.close();
    if (this.#running !== undefined && !this.#lease.leads) await this.#replicas.withdraw().catch(() => {});
    await this.#lease.close();
  }

  async #run(): Promise<void> {
    let took = 0;
    while (!this.#stop.signal.aborted) {
      const pause = Math.max(this.#options.roundMs ?? 1_000, took * REST);
      await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => {});
      if (this.#stop.signal.aborted || this.#state === undefined) continue;
      const began = performance.now();
      try {
        if (this.#lease.leads) await this.#lead();
        else await this.#follow();
        this.#settle("tell of policies", undefined);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#isDirty = true;
        this.#settle("tell of policies", error as Error);
      }
      took = performance.now() - began;
    }
  }

  async #lead(): Promise<void> {
    const term = this.#term ?? (await this.#beginTerm());
    const haveOthersChanged = await this.#replicas.read();
    if (!this.#isDirty && !haveOthersChanged) return;
    const { state, counts } = await this.#takeStock();
    await term.tell(state, counts, this.#replicas.reports);
  }

  async #beginTerm(): Promise<LeadingTerm> {
    await this.#replicas.withdraw();
    const term = new LeadingTerm({
      ...this.#sources,
      identity: this.#options.identity,
      leads: () => this.#lease.leads,
      onFault: (what, fault) => this.#settle(what, fault),
    });
    this.#term = term;
    await term.start().catch(async (error) => {
      await this.#endTerm();
      throw error;
    });
    this.#isDirty = true;
    return term;
  }

  async #follow(): Promise<void> {
    await this.#endTerm();
    if (this.#isDirty) {
      const { state, counts } = await this.#takeStock();
      const report = new Map();
      for (const key of [...this.#sources.source.policies()]) {
        await this.#slices.turn();
        const object = this.#sources.source.object(key);
        if (object?.resource === undefined || object.resource !== state.resources.get(key)) continue;
        report.set(policyId(object), counts.get(key) ?? { concerned: 0, acknowledged: 0, rejected: 0 });
      }
      this.#report = report;
    }
    await this.#replicas.tell(encodeReport(this.#report));
  }

  /** What is known from now on; whatever comes meanwhile makes for another round. */
  async #takeStock() {
    this.#isDirty = false;
    const state = this.#state as SourceState;
    return { state, counts: await this.#acknowledgements.count() };
  }

  async #endTerm(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    await term?.close();
    // What is to be told is to be told in another way.
    if (term !== undefined) this.#isDirty = true;
  }

  #settle(what: string, fault: Error | undefined): void {
    if (this.#faults.get(what) === fault?.message) return;
    if (fault === undefined) this.#faults.delete(what);
    else this.#faults.set(what, fault.message);
    const defect = fault instanceof KubeFault ? fault.message : fault?.stack;
    this.#options.onNotice?.(fault === undefined ? `can ${what} again` : `cannot ${what}: ${defect}`);
  }
}

function kindOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

function isPolicy(key: string): boolean {
  return KUBERNETES_KINDS[kindOf(key) as Kind].policy === true;
}
