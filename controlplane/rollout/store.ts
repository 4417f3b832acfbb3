// Rollouts on disk, in the registry's directory. Every file has one writer, so commands and control plane need no lock:
//
//   DIR/rollouts/ID/plan.json   by the command that asks for it, once
//   DIR/rollouts/ID/rollback    by the command that wants it back, once
//   DIR/rollouts/ID/state.json  by the control plane
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectoryDurably, removeDirectoryDurably, writeFileDurably } from "../registry/durable.js";
import { counts, type Rollout, type RolloutPlan, type RolloutState } from "./plan.js";

/** How many rollouts the history has at least, where there were as many. */
const KEPT = 200;

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
    const rollouts = await Promise.all((await this.#ids()).map((id) => this.#read(id)));
    return rollouts.filter((rollout) => rollout !== undefined);
  }

  async saveState(id: string, state: RolloutState): Promise<void> {
    this.#ended.delete(id);
    await writeFileDurably(join(this.#directory, id, "state.json"), `${JSON.stringify(state, null, 2)}\n`);
  }

  /** Deletes what forgettable() names. For the control plane alone. */
  async prune(kept = KEPT): Promise<void> {
    for (const id of forgettable(await this.list(), kept)) {
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

/** Versions of a filter that proxies have, may get, or go back to when the newest rollout is undone. */
export function versionsInUse(rollouts: readonly Rollout[], filter: string): Set<string> {
  return new Set(inUse(rollouts, filter).map(({ plan }) => plan.version));
}

/** From the last but one on that went to all proxies: those before decide nothing, and are not gone back to. */
function inUse(rollouts: readonly Rollout[], filter: string): Rollout[] {
  const of = rollouts.filter((rollout) => rollout.plan.filter === filter && counts(rollout));
  const isWhole = ({ plan, state }: Rollout) => state?.phase === "completed" && Object.keys(plan.selector).length === 0;
  const whole = of.filter(isWhole);
  const from = whole.at(-2) ? of.indexOf(whole.at(-2) as Rollout) : 0;
  return of.slice(from);
}

/** The ids of ended rollouts that decide nothing any more, the newest `kept` of all aside. */
export function forgettable(rollouts: readonly Rollout[], kept: number): string[] {
  const filters = new Set(rollouts.map(({ plan }) => plan.filter));
  const needed = new Set([...filters].flatMap((filter) => inUse(rollouts, filter)));
  const old = rollouts.slice(0, Math.max(rollouts.length - kept, 0));
  return old.filter((rollout) => rollout.state && !needed.has(rollout)).map(({ plan }) => plan.id);
}
