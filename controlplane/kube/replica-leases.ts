// What replicas tell one another of their proxies: each keeps its report in a Lease of its own, which others read. A replica
// that is no longer heard of is no longer counted.
import type { KubeClient } from "./client.js";
import { LEASES } from "./lease.js";
import type { KubeObject } from "./object.js";
import { microTime } from "./time.js";

export interface ReplicaLeasesOptions<Report> {
  readonly client: KubeClient;
  readonly namespace: string;
  /** What all replicas have in common, a label's value. */
  readonly group: string;
  /** This replica's own, unique. */
  readonly identity: string;
  /** Seconds after which a replica that is not heard of does not count. */
  readonly seconds: number;
  /** Ends reading and telling. */
  readonly signal: AbortSignal;
  /** Undefined for what is no report. */
  readonly decode: (text: string) => Report | undefined;
}

const GROUP_LABEL = "headgate.dev/replica-of";
const REPORT_ANNOTATION = "headgate.dev/report";
/** Of its time, after which a report that did not change is told again. */
const REPEATED = 1 / 4;
/** Bytes of all annotations of an object that the API server takes, less some. */
const MOST_BYTES = 250_000;
/** Milliseconds. A report that cannot be taken back ceases to count by itself. */
const WITHDRAWAL_MS = 2_000;

interface Heard<Report> {
  readonly resourceVersion: string | undefined;
  readonly at: number;
  readonly text: string;
  readonly report: Report | undefined;
}

export class ReplicaLeases<Report> {
  readonly #options: ReplicaLeasesOptions<Report>;
  readonly #name: string;
  /** By name, the others. */
  #heard: ReadonlyMap<string, Heard<Report>> = new Map();
  #told: { readonly text: string; readonly at: number } | undefined;

  constructor(options: ReplicaLeasesOptions<Report>) {
    this.#options = options;
    this.#name = `${options.group}-replica-${options.identity}`;
  }

  /** The reports of the others that are alive, as they were last read; undefined for one that cannot be read. */
  get reports(): readonly (Report | undefined)[] {
    return [...this.#heard.values()].map(({ report }) => report);
  }

  /** Reads what the others tell, and clears away those that are gone; resolves with whether anything is different. */
  async read(): Promise<boolean> {
    const { client, namespace, group, seconds, signal } = this.#options;
    const { items } = await client.list(LEASES, { namespace, labelSelector: `${GROUP_LABEL}=${group}`, signal });
    const now = performance.now();
    const heard = new Map<string, Heard<Report>>();
    for (const lease of items) {
      const { name = "" } = lease.metadata;
      if (name === this.#name) continue;
      const one = this.#hear(lease, this.#heard.get(name), now);
      if (now - one.at <= seconds * 1_000) heard.set(name, one);
      else await client.delete(LEASES, { namespace, name }, signal);
    }
    const before = this.#heard;
    this.#heard = heard;
    return before.size !== heard.size || [...heard].some(([name, { text }]) => before.get(name)?.text !== text);
  }

  /** Tells this replica's report where it is another, or long ago; one that is too long is told as none. */
  async tell(encoded: string): Promise<void> {
    const text = encoded.length > MOST_BYTES ? "" : encoded;
    const now = performance.now();
    const { client, namespace, group, identity, seconds, signal } = this.#options;
    if (this.#told?.text === text && now - this.#told.at < seconds * 1_000 * REPEATED) return;
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: this.#name,
        labels: { [GROUP_LABEL]: group },
        annotations: { [REPORT_ANNOTATION]: text },
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: seconds,
        renewTime: microTime(),
      },
    };
    await client.apply(LEASES, { namespace, name: this.#name }, lease, { fieldManager: "headgate", signal });
    this.#told = { text, at: now };
  }

  /** Tells that this replica is none to be counted: it leads, or ends. */
  async withdraw(): Promise<void> {
    this.#told = undefined;
    const { client, namespace } = this.#options;
    await client.delete(LEASES, { namespace, name: this.#name }, AbortSignal.timeout(WITHDRAWAL_MS));
  }

  #hear(lease: KubeObject, before: Heard<Report> | undefined, now: number): Heard<Report> {
    const { resourceVersion, annotations } = lease.metadata;
    if (before !== undefined && before.resourceVersion === resourceVersion) return before;
    const text = annotations?.[REPORT_ANNOTATION] ?? "";
    const report = before?.text === text ? before.report : this.#options.decode(text);
    return { resourceVersion, at: now, text, report };
  }
}
