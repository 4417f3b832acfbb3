// Rollouts on disk, in the registry's directory. Every file has one writer, so commands and control plane need no lock:
//
//   DIR/rollouts/ID/plan.json   by the command that asks for it, once
//   DIR/rollouts/ID/rollback    by the command that wants it back, once
//   DIR/rollouts/ID/state.json  by the control plane
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectoryDurably, writeFileDurably } from "../registry/durable.js";
import { counts, type Rollout, type RolloutPlan, type RolloutState } from "./plan.js";

const ID = /^\d{6}$/;

export class RolloutStore {
  readonly #directory: string;
  /** Plans never change; states only by this object, once a rollout has ended. */
  readonly #plans = new Map<string, RolloutPlan>();
  readonly #ended = new Map<string, RolloutState>();

  /** directory: the registry's. */
  constructor(directory: string) {
    this.#directory = join(directory, "rollouts");
  }

  /** Adds a rollout behind all others; the control plane begins it when those have ended. */
  async create(plan: Omit<RolloutPlan, "id">): Promise<RolloutPlan> {
    for (;;) {
      const last = Number((await this.#ids()).at(-1) ?? 0);
      const numbered: RolloutPlan = { id: String(last + 1).padStart(6, "0"), ...plan };
      const files = new Map([["plan.json", `${JSON.stringify(numbered, null, 2)}\n`]]);
      if (await createDirectoryDurably(join(this.#directory, numbered.id), files)) return numbered;
    }
  }

  /** All rollouts, the oldest first. */
  async list(): Promise<Rollout[]> {
    return Promise.all((await this.#ids()).map((id) => this.#read(id)));
  }

  async saveState(id: string, state: RolloutState): Promise<void> {
    this.#ended.delete(id);
    await writeFileDurably(join(this.#directory, id, "state.json"), `${JSON.stringify(state, null, 2)}\n`);
  }

  async requestRollback(id: string, by: string): Promise<void> {
    await writeFileDurably(join(this.#directory, id, "rollback"), by);
  }

  async #ids(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [] as string[]);
    return names.filter((name) => ID.test(name)).sort();
  }

  async #read(id: string): Promise<Rollout> {
    const read = (name: string) => readFile(join(this.#directory, id, name), "utf8").catch(() => undefined);
    const plan = this.#plans.get(id) ?? (JSON.parse((await read("plan.json")) ?? "") as RolloutPlan);
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

/** Versions of a filter that proxies have, may get, or go back to when the newest rollout is undone. */
export function versionsInUse(rollouts: readonly Rollout[], filter: string): Set<string> {
  const of = rollouts.filter((rollout) => rollout.plan.filter === filter && counts(rollout));
  const isWhole = ({ plan, state }: Rollout) => state?.phase === "completed" && Object.keys(plan.selector).length === 0;
  const whole = of.filter(isWhole);
  const from = whole.at(-2) ? of.indexOf(whole.at(-2) as Rollout) : 0;
  return new Set(of.slice(from).map(({ plan }) => plan.version));
}
