// Writes statuses to the cluster, one at a time and never the same one again: what matters first, the rest as time allows.
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../kube/backoff.js";
import type { KubeClient } from "../kube/client.js";
import type { KubeFault } from "../kube/object.js";
import { onChangedFault, refusalOf } from "../kube/told-faults.js";
import type { Kind } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";
import type { KubernetesObject, PolicyList } from "../sources/kubernetes.js";
import { difference, type PolicyStatus, readStatus } from "./conditions.js";

export interface StatusWriterOptions {
  readonly client: KubeClient;
  /** Where objects without a namespace are kept. */
  readonly defaultNamespace: string;
  /** Asked right before each write. */
  readonly mayWrite: () => boolean;
  /** What keeps statuses from being written, once for each reason; undefined when it is over. */
  readonly onFault: (fault: KubeFault | undefined) => void;
  /** By default 50, and 5 where it matters little. */
  readonly writesPerSecond?: number;
  readonly littleWritesPerSecond?: number;
}

/** Whose status it is. */
export type StatusTarget = Pick<KubernetesObject, "type" | "namespace" | "name" | "uid"> & { readonly kind: Kind };

interface Written {
  readonly uid: string;
  readonly status: PolicyStatus;
}

interface Wanted extends Written {
  readonly target: StatusTarget;
}

const FIELD_MANAGER = "headgate";
const GONE = 404;
/** No other try of the same will do. */
const INVALID = 422;
/** Does not hold others up, and is tried again when there is nothing else; after any other fault all wait. */
const FORBIDDEN = 403;
/** Milliseconds without tries of what matters little, after one was forbidden. */
const FORBIDDEN_MS = 5_000;

/** For as long as this replica leads. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #settle: (fault: KubeFault | undefined) => void;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff();
  /** By resourceKey, what stands in the cluster. */
  readonly #written = new Map<string, Written>();
  /** By resourceKey; those that matter much, those that can wait for these, and those that matter little. */
  readonly #urgent = new Map<string, Wanted>();
  readonly #backlog = new Map<string, Wanted>();
  readonly #others = new Map<string, Wanted>();
  #nextOther = 0;
  /** The key of what is being written. */
  #underWay: string | undefined;
  #wake: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#settle = onChangedFault((fault) => {
      if (fault === undefined) this.#hurry();
      options.onFault(fault);
    }, refusalOf);
  }

  /**
   * Reads the statuses that stand, and begins to write. Those of kinds that may not be read are taken for absent. Rejects
   * with a KubeFault when the cluster cannot be read.
   */
  async start(lists: readonly PolicyList[]): Promise<void> {
    for (const list of lists) {
      await this.#read(list).catch((fault: KubeFault) => {
        if (fault.status !== FORBIDDEN && fault.status !== GONE) throw fault;
      });
    }
    this.#running ??= this.#run();
  }

  async #read({ kind, type, selection }: PolicyList): Promise<void> {
    const { client, defaultNamespace } = this.#options;
    for await (const { items } of client.pages(type, { ...selection, signal: this.#stop.signal })) {
      for (const { metadata, status } of items) {
        const { namespace = defaultNamespace, name = "", uid = "" } = metadata;
        const known = readStatus(status);
        if (known) this.#written.set(resourceKey({ kind, meta: { namespace, name } }), { uid, status: known });
      }
    }
  }

  /** The status that stands in the cluster, as far as is known. */
  written(key: string, uid: string): PolicyStatus | undefined {
    const known = this.#written.get(key);
    return known?.uid === uid ? known.status : undefined;
  }

  /** From now on, the status should be this one. With `waits`, others that are wanted later are written before it. */
  want(key: string, target: StatusTarget, status: PolicyStatus, waits = false): void {
    for (const queue of [this.#urgent, this.#backlog, this.#others]) queue.delete(key);
    const isUnderWay = this.#underWay === key;
    const matters = isUnderWay ? "much" : difference(this.written(key, target.uid), status);
    if (matters === "none") return;
    const queue = matters === "little" ? this.#others : waits ? this.#backlog : this.#urgent;
    queue.set(key, { target, uid: target.uid, status });
    this.#wake();
  }

  /** Forgets all policies but these. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const map of [this.#written, this.#urgent, this.#backlog, this.#others]) {
      for (const key of map.keys()) if (!keys.has(key)) map.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { writesPerSecond = 50, mayWrite } = this.#options;
    while (!this.#stop.signal.aborted) {
      if (!mayWrite()) {
        await this.#sleep(this.#backoff.next());
        continue;
      }
      const next = this.#next();
      if (next === undefined) {
        await this.#idle();
        continue;
      }
      const began = performance.now();
      [this.#underWay] = next;
      const fault = await this.#write(...next);
      this.#underWay = undefined;
      if (fault === undefined) this.#backoff.reset();
      await this.#sleep(fault ? this.#backoff.next(fault) : began + 1_000 / writesPerSecond - performance.now());
    }
  }

  #next(): [string, Wanted] | undefined {
    for (const queue of [this.#urgent, this.#backlog]) {
      const [first] = queue;
      if (first === undefined) continue;
      queue.delete(first[0]);
      return first;
    }
    const [other] = this.#others;
    const now = performance.now();
    if (other === undefined || now < this.#nextOther) return undefined;
    this.#nextOther = now + 1_000 / (this.#options.littleWritesPerSecond ?? 5);
    this.#others.delete(other[0]);
    return other;
  }

  /** Until there is something to write. */
  async #idle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((done) => {
      this.#wake = done;
      if (this.#others.size > 0) timer = setTimeout(done, Math.max(1, this.#nextOther - performance.now()));
      if (this.#stop.signal.aborted) done();
    });
    clearTimeout(timer);
  }

  async #write(key: string, wanted: Wanted): Promise<KubeFault | undefined> {
    const { client } = this.#options;
    const { kind, type, name, namespace, uid } = wanted.target;
    const at = { name, ...(namespace === undefined ? {} : { namespace }) };
    const object = {
      apiVersion: `${type.group}/${type.version}`,
      kind,
      metadata: at,
      status: wanted.status,
    };
    try {
      const options = { fieldManager: FIELD_MANAGER, subresource: "status", signal: this.#stop.signal };
      const { metadata } = await client.apply(type, at, object, options);
      // An object that has just taken this one's place has yet to get a status of its own.
      if (metadata.uid === uid) this.#written.set(key, { uid, status: wanted.status });
      this.#settle(undefined);
      return undefined;
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined;
      const fault = error as KubeFault;
      if (fault.status === GONE) return undefined;
      this.#settle(fault);
      if (fault.status === FORBIDDEN) this.#nextOther = performance.now() + FORBIDDEN_MS;
      if (fault.status !== INVALID) this.#tryAgain(key, wanted, fault.status === FORBIDDEN);
      return fault.status === INVALID || fault.status === FORBIDDEN ? undefined : fault;
    }
  }

  #tryAgain(key: string, wanted: Wanted, isForbidden: boolean): void {
    // Something newer may be wanted by now.
    const isWanted = [this.#urgent, this.#backlog, this.#others].some((queue) => queue.has(key));
    if (!isWanted) (isForbidden ? this.#others : this.#backlog).set(key, wanted);
  }

  /** What was forbidden may be taken now. */
  #hurry(): void {
    for (const [key, wanted] of this.#others) this.#backlog.set(key, wanted);
    this.#others.clear();
    this.#nextOther = 0;
  }

  async #sleep(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}
