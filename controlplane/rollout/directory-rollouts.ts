// Rollouts on disk, in the registry's directory. Every file has one writer, so commands and control plane need no lock:
//
//   DIR/rollouts/ID/plan.json   by the command that asks for it, once
//   DIR/rollouts/ID/rollback    by the command that wants it back, once
//   DIR/rollouts/ID/state.json  by the control plane
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectoryDurably, removeDirectoryDurably, writeFileDurably } from "../registry/durable.js";
import { numbered, type Rollout, type RolloutPlan, type RolloutState } from "./plan.js";
import { forgettable, KEPT, type RolloutStore } from "./store.js";

const ID = /^\d{6}$/;

export class DirectoryRollouts implements RolloutStore {
  readonly #directory: string;
  readonly #kept: number;
  /** Plans never change; states only by this object, once a rollout has ended. */
  readonly #plans = new Map<string, RolloutPlan>();
  readonly #ended = new Map<string, RolloutState>();

  /** directory: the registry's. */
  /** kept: how many rollouts prune() leaves at least. */
  constructor(directory: string, kept = KEPT) {
    this.#directory = join(directory, "rollouts");
    this.#kept = kept;
  }

  async create(plan: Omit<RolloutPlan, "id">): Promise<RolloutPlan> {
    for (;;) {
      const next = numbered(plan, (await this.#ids()).at(-1));
      const files = new Map([["plan.json", `${JSON.stringify(next, null, 2)}\n`]]);
      if (await createDirectoryDurably(join(this.#directory, next.id), files)) return next;
    }
  }

  async list(): Promise<Rollout[]> {
    const rollouts = await Promise.all((await this.#ids()).map((id) => this.#read(id)));
    return rollouts.filter((rollout) => rollout !== undefined);
  }

  async saveState(id: string, state: RolloutState): Promise<void> {
    this.#ended.delete(id);
    await writeFileDurably(join(this.#directory, id, "state.json"), `${JSON.stringify(state, null, 2)}\n`);
  }

  async prune(): Promise<void> {
    for (const id of forgettable(await this.list(), this.#kept)) {
      await removeDirectoryDurably(join(this.#directory, id));
      this.#plans.delete(id);
      this.#ended.delete(id);
    }
  }

  async requestRollback(id: string, by: string): Promise<void> {
    await writeFileDurably(join(this.#directory, id, "rollback"), by);
  }

  async #ids(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [] as string[]);
    return names.filter((name) => ID.test(name)).sort();
  }

  /** Undefined if it was pruned meanwhile. */
  async #read(id: string): Promise<Rollout | undefined> {
    const read = (name: string) => readFile(join(this.#directory, id, name), "utf8").catch(() => undefined);
    const planText = this.#plans.has(id) ? undefined : await read("plan.json");
    const plan = planText === undefined ? this.#plans.get(id) : (JSON.parse(planText) as RolloutPlan);
    if (!plan) return undefined;
    this.#plans.set(id, plan);
    const ended = this.#ended.get(id);
    const rollbackBy = ended?.phase === "rolled-back" ? undefined : await read("rollback");
    const text = ended ? undefined : await read("state.json");
    const state = ended ?? (text === undefined ? undefined : (JSON.parse(text) as RolloutState));
    if (state && state.phase !== "rolling") this.#ended.set(id, state);
    return {
      plan,
      ...(state === undefined ? {} : { state }),
      ...(rollbackBy === undefined ? {} : { rollbackBy }),
    };
  }
}
