// Carries rollouts out: step by step while the gate holds, back by itself when it does not. What it decides is on disk
// before any proxy hears of it, so whatever ends this process, the next one goes on from there.
import { setTimeout as sleep } from "node:timers/promises";
import type { FilterRegistry } from "../registry/registry.js";
import { assignedVersion, boundOf, type Candidate, hasReached, isSelected } from "./assignment.js";
import { type CanaryState, DEFAULT_GATE, findFailure, type GateLimits } from "./gate.js";
import type { Observations } from "./observations.js";
import { counts, type Rollout, type RolloutState } from "./plan.js";
import type { RolloutStore } from "./store.js";

/** What a proxy last answered of its filters; `at` in milliseconds since the epoch. */
export interface Acknowledgement {
  readonly acknowledged: boolean;
  readonly rejection?: { readonly message: string; readonly at: number };
}

export interface RunnerOptions {
  readonly filter: string;
  readonly registry: FilterRegistry;
  readonly store: RolloutStore;
  readonly observations: Observations;
  /** The proxies that are connected. */
  readonly proxies: () => Iterable<Candidate>;
  readonly acknowledgement: (proxy: string) => Acknowledgement;
  /** The assignments changed: proxies must be published to. */
  readonly republish: () => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly onFault: (error: unknown) => void;
  readonly onChange?: (rollout: Rollout) => void;
  readonly gate?: GateLimits;
}

/** Milliseconds. */
const PERIOD = 200;
const BASELINE = 30_000;

interface Progress {
  readonly id: string;
  readonly step: number;
  readonly beganAt: number;
  /** The rollout's first step, if that was seen. */
  readonly rolloutBeganAt: number | undefined;
  readonly beganOn: number;
  /** Since when every proxy of the step has acknowledged. */
  heldSince?: number;
}

export class RolloutRunner {
  readonly #options: RunnerOptions;
  readonly #stopped = new AbortController();
  readonly #modules = new Map<string, Uint8Array>();
  /** What each proxy was last seen to have taken. */
  readonly #running = new Map<string, string | undefined>();
  #rollouts: readonly Rollout[] = [];
  #progress: Progress | undefined;
  #loop: Promise<void> = Promise.resolve();
  #assigned: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Resolves once it is known what every proxy should have. */
  async start(): Promise<void> {
    this.#rollouts = await this.#options.store.list();
    await this.#loadModules();
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  /** The module that the proxy should have; undefined for the built-in one. */
  moduleFor(proxy: Candidate): Uint8Array | undefined {
    const version = this.versionFor(proxy);
    return version === undefined ? undefined : this.#modules.get(version);
  }

  versionFor(proxy: Candidate): string | undefined {
    return assignedVersion(this.#rollouts, this.#options.filter, proxy);
  }

  /** What the proxy has taken, as far as known. */
  runningOn(proxy: string): string | undefined {
    return this.#running.get(proxy);
  }

  get rollouts(): readonly Rollout[] {
    return this.#rollouts;
  }

  async #run(): Promise<void> {
    let fault = "";
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#turn();
        fault = "";
      } catch (error) {
        // One that lasts comes with every turn.
        if (String(error) !== fault) this.#options.onFault(error);
        fault = String(error);
      }
      await sleep(PERIOD, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  async #turn(): Promise<void> {
    this.#rollouts = await this.#options.store.list();
    for (const rollout of this.#rollouts) {
      if (rollout.rollbackBy !== undefined && rollout.state?.phase !== "rolled-back")
        await this.#rollBack(rollout, `asked for by ${rollout.rollbackBy}`);
    }
    await this.#loadModules();
    const active = this.#rollouts.find(
      (rollout) =>
        counts(rollout) && rollout.plan.filter === this.#options.filter && rollout.state?.phase !== "completed",
    );
    if (active) await this.#advance(active);
    this.#publish();
    this.#note();
  }

  async #advance(rollout: Rollout): Promise<void> {
    const { plan, state } = rollout;
    if (!this.#modules.has(plan.version)) return;
    if (!state) return this.#beginStep(rollout, 0);
    this.#progress = this.#progressOf(rollout, state);
    const canaries = [...this.#options.proxies()].filter((proxy) => hasReached(rollout, proxy));
    const failure = this.#findFailure(rollout, this.#progress, canaries);
    if (failure !== undefined) return this.#rollBack(rollout, failure);
    const { acknowledgement, now } = this.#options;
    const acknowledged = canaries.length > 0 && canaries.every(({ id }) => acknowledgement(id).acknowledged);
    if (!acknowledged) delete this.#progress.heldSince;
    else this.#progress.heldSince ??= now();
    if (this.#progress.heldSince === undefined || now() - this.#progress.heldSince < plan.holdMillis) return;
    if (state.step + 1 < plan.steps.length) await this.#beginStep(rollout, state.step + 1);
    else await this.#save(rollout, { ...state, phase: "completed", reached: 1 });
  }

  async #beginStep(rollout: Rollout, step: number): Promise<void> {
    const { plan, state } = rollout;
    const bound = boundOf(plan, plan.steps[step] ?? 1, [...this.#options.proxies()]);
    const reached = Math.max(bound, state?.reached ?? 0);
    await this.#save(rollout, { phase: "rolling", step, reached });
    this.#progress = this.#progressOf(rollout, { step }, step === 0 ? this.#options.now() : undefined);
  }

  #progressOf({ plan }: Rollout, { step }: Pick<RolloutState, "step">, rolloutBeganAt?: number): Progress {
    const known = this.#progress?.id === plan.id ? this.#progress : undefined;
    if (known?.step === step) return known;
    const began = rolloutBeganAt ?? known?.rolloutBeganAt;
    return { id: plan.id, step, beganAt: this.#options.now(), beganOn: Date.now(), rolloutBeganAt: began };
  }

  #findFailure(rollout: Rollout, progress: Progress, canaries: readonly Candidate[]): string | undefined {
    const { observations, proxies, now, gate = DEFAULT_GATE } = this.#options;
    const at = now();
    const ids = canaries.map(({ id }) => id);
    const rest = [...proxies()].filter((proxy) => !hasReached(rollout, proxy)).map(({ id }) => id);
    let others = observations.between(rest, progress.beganAt, at);
    if (others.requests < gate.leastRequests && progress.rolloutBeganAt !== undefined) {
      const before = progress.rolloutBeganAt;
      const selected = [...proxies()].filter((proxy) => isSelected(rollout.plan, proxy)).map(({ id }) => id);
      // How fast a machine is changes too much from one minute to the next.
      others = { ...observations.between(selected, before - BASELINE, before), durations: new Map() };
    }
    const states = ids.map((id) => this.#canaryState(id, progress, at));
    return findFailure({ canaries: states, canary: observations.between(ids, progress.beganAt, at), others }, gate);
  }

  #canaryState(id: string, { beganAt, beganOn }: Progress, at: number): CanaryState {
    const { acknowledgement, observations } = this.#options;
    const { acknowledged, rejection } = acknowledgement(id);
    const heard = observations.lastHeard(id);
    return {
      id,
      acknowledged,
      ...(rejection && rejection.at >= beganOn ? { rejected: rejection.message } : {}),
      restarted: observations.hasRestarted(id, beganAt),
      silentMillis: heard === undefined ? 0 : at - Math.max(heard, beganAt),
      waitedMillis: at - beganAt,
    };
  }

  async #rollBack(rollout: Rollout, reason: string): Promise<void> {
    const { step = 0, reached = 0 } = rollout.state ?? {};
    await this.#save(rollout, { phase: "rolled-back", step, reached, reason });
  }

  /** On disk first; then here, and then the proxies hear of it. */
  async #save({ plan }: Rollout, next: Omit<RolloutState, "changedAt">): Promise<void> {
    const state = { ...next, changedAt: new Date().toISOString() };
    await this.#options.store.saveState(plan.id, state);
    this.#rollouts = this.#rollouts.map((rollout) => (rollout.plan.id === plan.id ? { ...rollout, state } : rollout));
    this.#publish();
    this.#options.onChange?.({ plan, state });
  }

  /** Loads what is to be given out; a rollout whose module cannot be had is rolled back. */
  async #loadModules(): Promise<void> {
    for (const rollout of this.#rollouts.filter(counts)) {
      const { filter, version } = rollout.plan;
      if (filter !== this.#options.filter || this.#modules.has(version)) continue;
      const loaded = await this.#options.registry.module(filter, version);
      if ("value" in loaded) this.#modules.set(version, loaded.value);
      else await this.#rollBack(rollout, loaded.fault.message);
    }
  }

  /** Proxies that connect are published to as they do; the others when they are to have another version. */
  #publish(): void {
    const assigned = new Map([...this.#options.proxies()].map((proxy) => [proxy.id, this.versionFor(proxy)]));
    const moved = [...assigned].some(([id, version]) => this.#assigned.has(id) && this.#assigned.get(id) !== version);
    this.#assigned = assigned;
    if (moved) this.#options.republish();
  }

  #note(): void {
    const connected = new Set<string>();
    for (const proxy of this.#options.proxies()) {
      connected.add(proxy.id);
      if (this.#options.acknowledgement(proxy.id).acknowledged) this.#running.set(proxy.id, this.versionFor(proxy));
    }
    for (const id of this.#running.keys()) if (!connected.has(id)) this.#running.delete(id);
  }
}
