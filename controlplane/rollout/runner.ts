// Carries rollouts out: step by step while the gate holds, back by itself when it does not. What it decides is stored before
// any proxy hears of it, so whatever ends this process, the next one goes on from there. Of several control planes one
// decides, by what all of them tell; the others give their proxies what is stored.
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../kube/backoff.js";
import { KubeFault } from "../kube/object.js";
import { FilterRegistry } from "../registry/registry.js";
import { assignedVersion, boundOf, boundOnceKnown, type Candidate } from "./assignment.js";
import { DEFAULT_GATE } from "./gate.js";
import { counts, type Rollout, type RolloutState } from "./plan.js";
import { failureOf, isHeld, type Report } from "./report.js";
import { BEFORE, Reporter, type ReporterOptions } from "./reporter.js";
import type { FollowedStorage } from "./storage.js";

export interface RunnerOptions extends Omit<ReporterOptions, "gate"> {
  readonly storage: Pick<FollowedStorage, "versions" | "rollouts" | "peers">;
  /** The assignments changed: proxies must be published to. */
  readonly republish: () => void;
  readonly onFault: (error: unknown) => void;
  readonly onChange?: (rollout: Rollout) => void;
}

/** Milliseconds. */
const PERIOD = 200;
const MODULE_RETRY = 5_000;
/** A turn that judges so late comes after a time in which nothing else was done either. */
const HELD_UP = 1_000;

export class RolloutRunner {
  readonly #options: RunnerOptions;
  readonly #registry: FilterRegistry;
  readonly #reporter: Reporter;
  readonly #stopped = new AbortController();
  /** By filter, then by version: those that proxies have or may get. */
  readonly #modules = new Map<string, Map<string, Uint8Array>>();
  /** By rollout: why its module cannot be had, and when that was seen. */
  readonly #lacking = new Map<string, { readonly message: string; readonly at: number }>();
  /** By filter, then by proxy: what it was last seen to have taken. */
  readonly #running = new Map<string, Map<string, string | undefined>>();
  #rollouts: readonly Rollout[] = [];
  /** Those whose modules are here. */
  #serving: readonly Rollout[] = [];
  #loop: Promise<void> = Promise.resolve();
  /** When the present turn was to begin. */
  #dueAt = 0;
  /** By filter and proxy. */
  #assigned: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#registry = new FilterRegistry(options.storage.versions);
    this.#reporter = new Reporter({ ...options, gate: DEFAULT_GATE });
  }

  /** Resolves once it is known what every proxy should have, and waits for a cluster that cannot be reached, until the signal aborts. */
  async start(signal?: AbortSignal): Promise<void> {
    const { storage, onFault } = this.#options;
    if (storage.peers.leads) await storage.rollouts.prune();
    const backoff = new Backoff();
    for (let fault = ""; !signal?.aborted; ) {
      try {
        await this.#look();
        break;
      } catch (error) {
        if (!(error instanceof KubeFault)) throw error;
        if (fault !== error.message) onFault(error);
        fault = error.message;
        await sleep(backoff.next(error), undefined, signal ? { signal } : {}).catch(() => {});
      }
    }
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
    return assignedVersion(this.#serving, filter, proxy);
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
    this.#dueAt = this.#options.now();
    const backoff = new Backoff({ first: PERIOD });
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#turn();
        fault = "";
        backoff.reset();
        await this.#wait(PERIOD);
      } catch (error) {
        // One that lasts comes with every turn.
        if (String(error) !== fault) this.#options.onFault(error);
        fault = String(error);
        await this.#wait(backoff.next(error));
      }
    }
  }

  async #wait(millis: number): Promise<void> {
    this.#dueAt += millis;
    await sleep(millis, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }

  /** One that came in a turn is noticed by the next one at the latest. */
  #noticePause(): void {
    const now = this.#options.now();
    if (now - this.#dueAt > HELD_UP) this.#reporter.heldUp();
    this.#dueAt = now;
  }

  async #turn(): Promise<void> {
    this.#noticePause();
    const { peers } = this.#options.storage;
    const active = await this.#look();
    const isNew = active !== undefined && this.#reporter.begin(active.plan.id, active.state?.step ?? BEFORE);
    const unwanted = this.#rollouts.filter((rollout) => this.#whyUnwanted(rollout) !== undefined);
    if (active || unwanted.length > 0) peers.seek();
    for (const rollout of peers.leads ? unwanted : [])
      await this.#rollBack(rollout, this.#whyUnwanted(rollout) as string);
    // Also notes what proxies have of a filter that is rolled out for the first time.
    this.#publish();
    // What proxies have answered by now was of the step before.
    const isRolledBack = active !== undefined && peers.leads && unwanted.includes(active);
    if (active && !isNew && !isRolledBack) await this.#advance(active);
    this.#publish();
    this.#note();
  }

  /** Reads what is stored, loads what is to be given out, and gives the rollout that is under way. */
  async #look(): Promise<Rollout | undefined> {
    const rollouts = await this.#options.storage.rollouts.list();
    for (const rollout of rollouts.filter(counts)) await this.#loadModule(rollout);
    this.#take(rollouts);
    return rollouts.find((rollout) => counts(rollout) && rollout.state?.phase !== "completed");
  }

  #take(rollouts: readonly Rollout[]): void {
    this.#rollouts = rollouts;
    this.#serving = rollouts.filter((rollout) => !counts(rollout) || this.#hasModule(rollout));
  }

  #hasModule({ plan }: Rollout): boolean {
    return this.#modules.get(plan.filter)?.has(plan.version) ?? false;
  }

  async #loadModule(rollout: Rollout): Promise<void> {
    const { id, filter, version, sha256 } = rollout.plan;
    const modules = this.#modules.get(filter) ?? new Map<string, Uint8Array>();
    this.#modules.set(filter, modules);
    const { now, onFault } = this.#options;
    const lacking = this.#lacking.get(id);
    if (modules.has(version) || (lacking && now() - lacking.at < MODULE_RETRY)) return;
    const loaded = await this.#registry.module(filter, version, sha256);
    if ("value" in loaded) {
      modules.set(version, loaded.value);
      this.#lacking.delete(id);
    } else {
      this.#lacking.set(id, { message: loaded.fault.message, at: now() });
      if (!lacking) onFault(new Error(`rollout ${id}: ${loaded.fault.message}`));
    }
  }

  /** Why it is to be rolled back at once; undefined where it is not, or already was. */
  #whyUnwanted(rollout: Rollout): string | undefined {
    if (rollout.state?.phase === "rolled-back") return undefined;
    if (rollout.rollbackBy !== undefined) return `asked for by ${rollout.rollbackBy}`;
    return this.#hasModule(rollout) ? undefined : this.#lacking.get(rollout.plan.id)?.message;
  }

  async #advance(rollout: Rollout): Promise<void> {
    const { plan, state } = rollout;
    const { peers } = this.#options.storage;
    const failure = this.#whyUnwanted(rollout);
    this.#noticePause();
    const own = { ...this.#reporter.reportOf(rollout), ...(failure === undefined ? {} : { failure }) };
    peers.tell(plan.id, own);
    if (!peers.leads || this.#reporter.age < peers.patience) return;
    const reports = [own, ...peers.heard(plan.id)];
    const reason = failureOf(reports, state?.step ?? BEFORE, DEFAULT_GATE);
    if (reason !== undefined) return this.#rollBack(rollout, reason);
    if (!state) return this.#reporter.hasHeard(rollout) ? this.#beginStep(rollout, 0, reports) : undefined;
    const reached = boundOnceKnown(
      rollout,
      reports.map(({ ranking }) => ranking),
    );
    if (reached !== undefined) return this.#save(rollout, { ...state, reached });
    if (!isHeld(reports, state.step, plan.holdMillis)) return;
    if (state.step + 1 < plan.steps.length) await this.#beginStep(rollout, state.step + 1, reports);
    else await this.#save(rollout, { ...state, phase: "completed", reached: 1 });
  }

  async #beginStep(rollout: Rollout, step: number, reports: readonly Report[]): Promise<void> {
    const { plan, state } = rollout;
    const bound = boundOf(
      plan.steps[step] ?? 1,
      reports.map(({ ranking }) => ranking),
    );
    this.#reporter.begin(plan.id, step);
    await this.#save(rollout, { phase: "rolling", step, reached: Math.max(bound, state?.reached ?? 0) });
  }

  async #rollBack(rollout: Rollout, reason: string): Promise<void> {
    const { step = 0, reached = 0 } = rollout.state ?? {};
    await this.#save(rollout, { phase: "rolled-back", step, reached, reason });
  }

  /** Stored first; then here, and then the proxies hear of it. */
  async #save({ plan }: Rollout, next: Omit<RolloutState, "changedAt">): Promise<void> {
    const { rollouts } = this.#options.storage;
    const state = { ...next, changedAt: new Date().toISOString() };
    await rollouts.saveState(plan.id, state);
    if (state.phase !== "rolling") await rollouts.prune();
    this.#take(this.#rollouts.map((rollout) => (rollout.plan.id === plan.id ? { ...rollout, state } : rollout)));
    this.#publish();
    this.#options.onChange?.({ plan, state });
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
