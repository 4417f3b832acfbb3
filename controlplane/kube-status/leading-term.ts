// What the leading replica does for as long as it leads: makes the status of each policy, and writes those that differ.
import { isDeepStrictEqual } from "node:util";

import type { KubeClient } from "../kube/client.js";
import type { KubeFault } from "../kube/object.js";
import { wholeTime } from "../kube/time.js";
import { prepareAnalysis } from "../mesh/analysis/analyze.js";
import type { Mesh } from "../mesh/mesh.js";
import { Slices } from "../publish/slices.js";
import type { Kind } from "../resources/kinds.js";
import { resourceKey } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import type { KubernetesObject, KubernetesSource } from "../sources/kubernetes.js";
import type { SourceState } from "../sources/source.js";
import { type Count, sum } from "./acknowledgements.js";
import { conditionOf, type Findings, type PolicyStatus, policyStatus } from "./conditions.js";
import { RejectionEvents, type RejectionReason } from "./rejection-events.js";
import { policyId, type Report } from "./report.js";
import { type StatusTarget, StatusWriter } from "./status-writer.js";

export interface LeadingTermOptions {
  readonly client: KubeClient;
  readonly identity: string;
  readonly source: Pick<KubernetesSource, "object" | "policies" | "policyLists">;
  readonly publisher: { readonly mesh: Mesh };
  readonly defaultNamespace: string;
  /** See KubeStatusSources. */
  readonly violations: () => readonly Violation[];
  readonly leads: () => boolean;
  /** What cannot be done and why, once for each reason; without a fault when it can be done again. */
  readonly onFault: (what: string, fault: KubeFault | undefined) => void;
}

const NO_PROXIES: Count = { concerned: 0, acknowledged: 0, rejected: 0 };
const NONE: readonly Violation[] = [];

export class LeadingTerm {
  readonly #options: LeadingTermOptions;
  readonly #writer: StatusWriter;
  readonly #events: RejectionEvents;
  readonly #slices = new Slices();
  /** By resourceKey, the rejection that was told last. */
  readonly #told = new Map<string, string>();
  /** By resourceKey, what the last status that was wanted is made from. */
  readonly #known = new Map<string, Known>();
  /** Of a whole mesh there may be much to write; what changes meanwhile goes before it. */
  #isFirst = true;

  constructor(options: LeadingTermOptions) {
    this.#options = options;
    const { client, identity, defaultNamespace, leads, onFault } = options;
    const mayWrite = leads;
    this.#writer = new StatusWriter({
      client,
      defaultNamespace,
      mayWrite,
      onFault: (fault) => onFault("write statuses", fault),
    });
    this.#events = new RejectionEvents({ client, identity, onFault: (fault) => onFault("write events", fault) });
  }

  /** Reads the statuses that stand. Rejects with a KubeFault when they cannot be read. */
  async start(): Promise<void> {
    await this.#writer.start(this.#options.source.policyLists());
  }

  /**
   * Takes in what is known now: the published state, this replica's counts by resourceKey, and the others' reports. Lets
   * others have their turn meanwhile.
   */
  async tell(
    state: SourceState,
    counts: ReadonlyMap<string, Count>,
    reports: readonly (Report | undefined)[],
  ): Promise<void> {
    const { source, violations, publisher } = this.#options;
    await this.#slices.finish(prepareAnalysis(publisher.mesh));
    const mutual = byKey(violations());
    const duplicates = byKey(state.violations.filter(({ code }) => code === "duplicate-object"));
    const keys = new Set(source.policies());
    this.#writer.keepOnly(keys);
    for (const key of keys) {
      await this.#slices.turn();
      const object = source.object(key);
      const shadowed = duplicates.get(key) ?? NONE;
      // A newer state is on its way, and what it comes to is told then.
      if (object === undefined || (object.resource !== state.resources.get(key) && shadowed.length === 0)) continue;
      const { count, silent } = total(object, counts.get(key) ?? NO_PROXIES, reports);
      const { generation } = object;
      const own = shadowed.length === 0 ? object.violations : [...object.violations, ...shadowed];
      const findings = { generation, own, mutual: mutual.get(key) ?? NONE, count, silent };
      const { uid } = object;
      if (isSame(this.#known.get(key), { uid, findings })) continue;
      this.#known.set(key, { uid, findings });
      const target = { ...object, kind: key.slice(0, key.indexOf("/")) as Kind };
      const before = this.#writer.written(key, object.uid);
      const status = policyStatus(findings, before, wholeTime());
      this.#writer.want(key, target, status, this.#isFirst);
      this.#tellRejection(key, target, { before, status, error: count.rejected > 0 ? count.error : undefined });
    }
    this.#isFirst = false;
    for (const map of [this.#told, this.#known]) for (const key of map.keys()) if (!keys.has(key)) map.delete(key);
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#events.close()]);
  }

  /** Tells of a rejection when it is new, and neither this term nor the one before has told of it. */
  #tellRejection(
    key: string,
    target: StatusTarget,
    { before, status, error }: { before: PolicyStatus | undefined; status: PolicyStatus; error: string | undefined },
  ): void {
    const rejection = rejectionOf(status, error);
    if (rejection === undefined) {
      this.#told.delete(key);
      return;
    }
    const { reason, note, isTold } = rejection;
    const text = `${target.uid}\n${status.observedGeneration}\n${reason}\n${note}`;
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    if (before?.observedGeneration === status.observedGeneration && isTold(before)) return;
    this.#events.record(target, reason, note);
  }
}

interface Known {
  readonly uid: string;
  readonly findings: Findings;
}

function isSame(before: Known | undefined, { uid, findings }: Known): boolean {
  if (before?.uid !== uid) return false;
  const { generation, own, mutual, count, silent } = before.findings;
  if (generation !== findings.generation || silent !== findings.silent) return false;
  return (
    isDeepStrictEqual(count, findings.count) &&
    (own === findings.own || isDeepStrictEqual(own, findings.own)) &&
    (mutual === findings.mutual || isDeepStrictEqual(mutual, findings.mutual))
  );
}

interface ToldRejection {
  readonly reason: RejectionReason;
  readonly note: string;
  /** Whether a status that stands was written with this rejection. */
  readonly isTold: (status: PolicyStatus) => boolean;
}

function rejectionOf(status: PolicyStatus, error: string | undefined): ToldRejection | undefined {
  const accepted = conditionOf(status, "Accepted");
  if (accepted?.status === "False") {
    const { reason, message } = accepted;
    const isTold = (stands: PolicyStatus) => conditionOf(stands, "Accepted")?.message === message;
    return { reason: "Refused", note: `${reason}: ${message}`, isTold };
  }
  if (error === undefined) return undefined;
  const isTold = (stands: PolicyStatus) => conditionOf(stands, "Reconciled")?.reason === "Rejected";
  return { reason: "RejectedByProxy", note: `An Envoy rejected what came of it: ${error}`, isTold };
}

/** Over all replicas. */
function total(object: KubernetesObject, own: Count, reports: readonly (Report | undefined)[]) {
  let [count, silent] = [own, 0];
  const id = reports.length > 0 ? policyId(object) : "";
  for (const report of reports) {
    const theirs = report?.get(id);
    if (theirs === undefined) silent++;
    else count = sum(count, theirs);
  }
  return { count, silent };
}

function byKey(violations: readonly Violation[]): ReadonlyMap<string, readonly Violation[]> {
  const found = new Map<string, Violation[]>();
  for (const violation of violations) {
    const { kind, namespace, name } = violation;
    if (kind === undefined || namespace === undefined || name === undefined) continue;
    const key = resourceKey({ kind, meta: { namespace, name } });
    const known = found.get(key);
    if (known) known.push(violation);
    else found.set(key, [violation]);
  }
  return found;
}
