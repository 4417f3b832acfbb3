// Rollouts on a cluster, each in a ConfigMap whose fields have one writer each:
//
//   plan             by the command that asks for it, once
//   rollback         by the command that wants it back
//   state            by the control plane that leads
//   report.REPLICA   by each control plane, while the rollout is under way
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../kube/client.js";
import type { FollowedObjects } from "../kube/followed-objects.js";
import { KubeFault, type KubeObject } from "../kube/object.js";
import { CONFIG_MAPS, PART_LABEL } from "../registry/cluster-versions.js";
import { isPlan, isState, numbered, type Rollout, type RolloutPlan, type RolloutState } from "./plan.js";
import { forgettable, KEPT, type RolloutStore } from "./store.js";

const NAME = /^filter-rollout-(\d{6})$/;
const REPORT = "report.";
/** Milliseconds in which a watch tells of what was written. */
const HEARD_WITHIN = 5_000;
const LOOK_EVERY = 20;

export interface ClusterRolloutsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The rollouts' ConfigMaps; without it each list asks the server. */
  readonly followed?: FollowedObjects;
  /** How many rollouts are kept at least, whatever became of them; KEPT by default. */
  readonly kept?: number;
}

/** Which ConfigMaps are rollouts. */
export function rolloutsIn(namespace: string) {
  return { namespace, labelSelector: `${PART_LABEL}=rollout` };
}

export class ClusterRollouts implements RolloutStore {
  readonly #options: ClusterRolloutsOptions;
  /** As they were when they were last listed. */
  #listed: ReadonlyMap<string, KubeObject> = new Map();
  readonly #read = new WeakMap<KubeObject, Rollout>();

  constructor(options: ClusterRolloutsOptions) {
    this.#options = options;
  }

  async create(plan: Omit<RolloutPlan, "id">): Promise<RolloutPlan> {
    const { client, namespace } = this.#options;
    for (;;) {
      const last = [...(await this.#ask()).keys()].sort().at(-1);
      const next = numbered(plan, last?.replace(NAME, "$1"));
      const metadata = { name: nameOf(next.id), labels: { [PART_LABEL]: "rollout" } };
      try {
        await client.create(CONFIG_MAPS, { metadata, data: { plan: JSON.stringify(next) } }, namespace);
        await this.#forget();
        return next;
      } catch (error) {
        if (!(error instanceof KubeFault && error.reason === "AlreadyExists")) throw error;
      }
    }
  }

  async list(): Promise<readonly Rollout[]> {
    const { followed } = this.#options;
    this.#listed = followed ? new Map(followed.objects) : await this.#ask();
    return [...this.#listed.values()]
      .filter(({ metadata }) => NAME.test(metadata.name ?? ""))
      .map((object) => this.#rolloutOf(object))
      .sort((a, b) => (a.plan.id < b.plan.id ? -1 : 1));
  }

  async saveState(id: string, state: RolloutState): Promise<void> {
    const { client, namespace } = this.#options;
    const name = nameOf(id);
    const known = dataOf(this.#listed.get(name)).state;
    const text = JSON.stringify(state);
    let object = this.#listed.get(name);
    while (object !== undefined) {
      if (dataOf(object).state !== known) throw new Error(`another control plane has moved rollout ${id}`);
      const reports = Object.keys(dataOf(object)).filter((key) => key.startsWith(REPORT));
      const ended = state.phase === "rolling" ? {} : Object.fromEntries(reports.map((key) => [key, null]));
      const { resourceVersion } = object.metadata;
      try {
        await client.merge(
          CONFIG_MAPS,
          { namespace, name },
          { metadata: { resourceVersion }, data: { ...ended, state: text } },
        );
        return await this.#heard(name, text);
      } catch (error) {
        // Somebody else has written, if only a report.
        if (!(error instanceof KubeFault && error.reason === "Conflict")) throw error;
        object = await client.get(CONFIG_MAPS, { namespace, name });
      }
    }
    throw new Error(`there is no rollout ${id}`);
  }

  async requestRollback(id: string, by: string): Promise<void> {
    const { client, namespace } = this.#options;
    await client.merge(CONFIG_MAPS, { namespace, name: nameOf(id) }, { data: { rollback: by } });
  }

  /** Nothing: commands forget what is old when they add something, so the control plane's account need not delete. */
  async prune(): Promise<void> {}

  /** A rollout that cannot be forgotten now can be with the next one. */
  async #forget(): Promise<void> {
    const { client, namespace, kept = KEPT } = this.#options;
    try {
      const rollouts = await this.list();
      for (const id of forgettable(rollouts, kept)) await client.delete(CONFIG_MAPS, { namespace, name: nameOf(id) });
    } catch (error) {
      if (!(error instanceof KubeFault)) throw error;
    }
  }

  /** Of a rollout under way, by replica; in the words that they told. */
  reports(id: string): ReadonlyMap<string, string> {
    const data = Object.entries(dataOf(this.#options.followed?.objects.get(nameOf(id))));
    return new Map(
      data.flatMap(([key, text]) => (key.startsWith(REPORT) ? [[key.slice(REPORT.length), text] as const] : [])),
    );
  }

  async report(id: string, replica: string, text: string): Promise<void> {
    const { client, namespace } = this.#options;
    await client.merge(CONFIG_MAPS, { namespace, name: nameOf(id) }, { data: { [REPORT + replica]: text } });
  }

  async #ask(): Promise<ReadonlyMap<string, KubeObject>> {
    const { client, namespace } = this.#options;
    const found = new Map<string, KubeObject>();
    for await (const { items } of client.pages(CONFIG_MAPS, rolloutsIn(namespace)))
      for (const object of items) found.set(object.metadata.name ?? "", object);
    return found;
  }

  /** Resolves when the next list has what was written. */
  async #heard(name: string, state: string): Promise<void> {
    const { followed } = this.#options;
    const until = performance.now() + HEARD_WITHIN;
    while (followed && dataOf(followed.objects.get(name)).state !== state) {
      if (performance.now() > until) throw new Error(`the API server does not tell that ${name} has changed`);
      await sleep(LOOK_EVERY);
    }
  }

  /** Throws on what no command wrote: what proxies should have cannot be known then. */
  #rolloutOf(object: KubeObject): Rollout {
    const known = this.#read.get(object);
    if (known) return known;
    const { plan: planText, state: stateText, rollback } = dataOf(object);
    const [plan, state] = [valueOf(planText), stateText === undefined ? undefined : valueOf(stateText)];
    if (!isPlan(plan) || !(stateText === undefined || isState(state)))
      throw new Error(`the ConfigMap ${object.metadata.name} holds no rollout`);
    const rollout: Rollout = {
      plan: { ...plan, id: object.metadata.name?.replace(NAME, "$1") ?? "" },
      ...(isState(state) ? { state } : {}),
      ...(rollback === undefined ? {} : { rollbackBy: rollback }),
    };
    this.#read.set(object, rollout);
    return rollout;
  }
}

function nameOf(id: string): string {
  return `filter-rollout-${id}`;
}

function dataOf(object: KubeObject | undefined): Readonly<Record<string, string>> {
  return (object?.data ?? {}) as Readonly<Record<string, string>>;
}

/** Undefined for what is no JSON. */
function valueOf(text = ""): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
