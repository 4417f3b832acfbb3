// Carries rollouts out: step by step while the gate holds, back by itself when it does not. What it decides is on disk
// before any proxy hears of it, so whatever ends this process, the next one goes on from there.
import { setTimeout as sleep } from "node:timers/promises";
import type { FilterRegistry } from "../registry/registry.js";
import { assignedVersion, boundOf, boundOnceKnown, type Candidate, hasReached, isSelected } from "./assignment.js";
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
  readonly registry: FilterRegistry;
  readonly store: RolloutStore;
  readonly observations: Observations;
  /** The connected proxies that run the filter. */
  readonly proxies: (filter: string) => Iterable<Candidate>;
  /** What Envoys call the filter in their statistics. */
  readonly namesOf: (filter: string) => readonly string[];
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
  /** By filter, then by version: those that proxies have or may get. */
  readonly #modules = new Map<string, Map<string, Uint8Array>>();
  /** By filter, then by proxy: what it was last seen to have taken. */
  readonly #running = new Map<string, Map<string, string | undefined>>();
  #rollouts: readonly Rollout[] = [];
  #progress: Progress | undefined;
  #loop: Promise<void> = Promise.resolve();
  /** By filter and proxy. */
  #assigned: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Resolves once it is known what every proxy should have. */
  async start(): Promise<void> {
    await this.#options.store.prune();
    this.#rollouts = await this.#options.store.list();
    await this.#loadModules();
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  /** The module that the proxy should have; undefined where no rollout has given it one. */
  moduleFor(filter: string, proxy: Candidate): Uint8Array | undefined {
    const version = this.versionFor(filter, proxy);
    return version === undefined ? undefined : this.#modules.get(filter)?.get(version);
  }

  versionFor(filter: string, proxy: Candidate): string | undefined {
    return assignedVersion(this.#rollouts, filter, proxy);
  }

  /** The modules of the versions that some proxy has, or may get by a rollout under way. */
  modulesOf(filter: string): readonly Uint8Array[] {
    const versions = this.#rollouts.filter(counts).flatMap(({ plan }) => (plan.filter === filter ? plan.version : []));
    return [...new Set(versions)].flatMap((version) => this.#modules.get(filter)?.get(version) ?? []);
  }

  /** What the proxy has taken, as far as known. */
  runningOn(filter: string, proxy: string): string | undefined {
    return this.#running.get(filter)?.get(proxy);
  }

  /** The filters that there are rollouts of. */
  get filters(): ReadonlySet<string> {
    return new Set(this.#rollouts.map(({ plan }) => plan.filter));
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
    // Notes what proxies have of a filter that is rolled out for the first time.
    this.#publish();
    const active = this.#rollouts.find((rollout) => counts(rollout) && rollout.state?.phase !== "completed");
    if (active) await this.#advance(active);
    this.#publish();
    this.#note();
  }

  async #advance(rollout: Rollout): Promise<void> {
    const { plan, state } = rollout;
    if (!this.#modules.get(plan.filter)?.has(plan.version)) return;
    if (!state) return this.#beginStep(rollout, 0);
    this.#progress = this.#progressOf(rollout, state);
    const proxies = [...this.#options.proxies(plan.filter)];
    const bound = boundOnceKnown(rollout, proxies);
    if (bound !== undefined) return this.#save(rollout, { ...state, reached: bound });
    const canaries = proxies.filter((proxy) => hasReached(rollout, proxy));
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
    const bound = boundOf(plan, plan.steps[step] ?? 1, [...this.#options.proxies(plan.filter)]);
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
    const { observations, now, gate = DEFAULT_GATE } = this.#options;
    const { filter } = rollout.plan;
    const proxies = [...this.#options.proxies(filter)];
    const at = now();
    const ids = canaries.map(({ id }) => id);
    const rest = proxies.filter((proxy) => !hasReached(rollout, proxy)).map(({ id }) => id);
    let others = observations.between(rest, progress.beganAt, at);
    if (others.requests < gate.leastRequests && progress.rolloutBeganAt !== undefined) {
      const before = progress.rolloutBeganAt;
      const selected = proxies.filter((proxy) => isSelected(rollout.plan, proxy)).map(({ id }) => id);
      // How fast a machine is changes too much from one minute to the next.
      others = { ...observations.between(selected, before - BASELINE, before), durations: new Map() };
    }
    const states = ids.map((id) => this.#canaryState(id, progress, at));
    const canary = observations.between(ids, progress.beganAt, at, this.#options.namesOf(filter));
    return findFailure({ canaries: states, canary, others }, gate);
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
    if (state.phase !== "rolling") await this.#options.store.prune();
    this.#rollouts = this.#rollouts.map((rollout) => (rollout.plan.id === plan.id ? { ...rollout, state } : rollout));
    this.#publish();
    this.#options.onChange?.({ plan, state });
  }

  /** Loads what is to be given out; a rollout whose module cannot be had is rolled back. */
  async #loadModules(): Promise<void> {
    for (const rollout of this.#rollouts.filter(counts)) {
      const { filter, version } = rollout.plan;
      const modules = this.#modules.get(filter) ?? new Map<string, Uint8Array>();
      this.#modules.set(filter, modules);
      if (modules.has(version)) continue;
      const loaded = await this.#options.registry.module(filter, version);
      if ("value" in loaded) modules.set(version, loaded.value);
      else await this.#rollBack(rollout, loaded.fault.message);
    }
  }

  /** Proxies that connect are published to as they do; the others when they are to have another version. */
  #publish(): void {
    const assigned = new Map<string, string | undefined>();
    for (const filter of this.filters)
      for (const proxy of this.#options.proxies(filter))
        assigned.set(`${filter} ${proxy.id}`, this.versionFor(filter, proxy));
    const moved = [...assigned].some(
      ([key, version]) => this.#assigned.has(key) && this.#assigned.get(key) !== version,
    );
    this.#assigned = assigned;
    if (moved) this.#options.republish();
  }

  #note(): void {
    for (const filter of this.filters) {
      const before = this.#running.get(filter);
      const running = new Map<string, string | undefined>();
      for (const proxy of this.#options.proxies(filter)) {
        const { acknowledged } = this.#options.acknowledgement(proxy.id);
        running.set(proxy.id, acknowledged ? this.versionFor(filter, proxy) : before?.get(proxy.id));
      }
      this.#running.set(filter, running);
    }
  }
}
