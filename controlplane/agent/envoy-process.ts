// Keeps one Envoy running: start, readiness, restart after a crash, hot restart, drain and stop.
import { setTimeout as sleep } from "node:timers/promises";
import { drain } from "./drain.js";
import type { AdminAddress } from "./envoy-admin.js";
import { type EnvoyRun, handoverSeconds, startRun } from "./envoy-run.js";
import { findFault, type Launch, type PreparedLaunch, prepareLaunch } from "./launch.js";
import { clearInitializing, createLineage, endLineage, type Lineage } from "./lineage.js";
import { awaitTakeover, findObstacle } from "./takeover.js";
import type { ChildExit } from "./tied-child.js";

const POLL_MS = 50;
const KILL_AFTER_MS = 2000;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 30_000;
/** A run that lasted this long was no failed start: the next wait is short again. */
const SETTLED_MS = 10_000;
const TAKEOVER_MS = 60_000;
/** Within this time after it has taken over, an Envoy knows what the former has in flight. */
const FORMER_KNOWN_MS = 2_000;
const LAST_LINES = 20;
const WASM_FAILURE = /\]\[error\]\[wasm\] (?:\[\S+\] )?Function: \S+ failed: /;

export interface EnvoyOptions extends Launch {
  /** Another Envoy may take over by `replace`; false by default. */
  readonly replaceable?: boolean;
  /** How long one that takes over may take to be ready; 60 s by default. */
  readonly takeoverMs?: number;
  /** Each line that Envoy logs, and what it writes to standard output if onOutput does not take it. */
  readonly onLog?: (line: string) => void;
  /** Each line of Envoy's standard output, where access logs go. */
  readonly onOutput?: (line: string) => void;
  /** What a person should know of the agent's own part; onLog takes it otherwise. */
  readonly onNotice?: (notice: string) => void;
  /** Envoy ended by itself and is started again after restartInMs. */
  readonly onCrash?: (exit: ChildExit, restartInMs: number) => void;
}

export interface EnvoyProcess {
  /** Of the present run; undefined while Envoy has not opened it. It may differ after a restart if its port was 0. */
  readonly adminAddress: AdminAddress | undefined;
  /** Of the present run; undefined between two runs and at the end. */
  readonly pid: number | undefined;
  /** Of the run before, while it finishes its requests. */
  readonly formerPid: number | undefined;
  /** How often Envoy ended by itself and was started again. */
  readonly restarts: number;
  /** How often another Envoy has taken over. */
  readonly takeovers: number;
  /** How often Envoy has logged that a function of a Wasm module failed; with failStrategy FAIL_OPEN nothing else tells. */
  readonly wasmFailures: number;
  /** Undefined while traffic may flow, else what is missing, in words for a person; never rejects. */
  missing(): Promise<string | undefined>;
  /** Envoy's last log lines, oldest first, for an error message. */
  readonly lastLines: readonly string[];
  /** Resolves when the admin interface answers; rejects, with Envoy's last words, if the first run ends before. */
  live(): Promise<AdminAddress>;
  /** Resolves when traffic may flow: see missingForReadiness. Rejects when Envoy has ended or the signal aborts. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Has an Envoy that is started so take over, without a connection that is refused or a request that fails: Envoy's hot
   * restart. Waits for the former of an earlier one to end. Resolves with undefined once its workers take connections,
   * else with the reason why they do not: then all goes on as before, at the latest when the control plane is there. Needs `replaceable`, and
   * that the call before has resolved.
   */
  replace(launch: Launch): Promise<string | undefined>;
  /**
   * Lets requests in flight finish for up to drainMs (0: none) or until hurry aborts, then ends Envoy for good; it may be
   * called twice.
   */
  stop(options?: { readonly drainMs?: number; readonly hurry?: AbortSignal }): Promise<void>;
  /** Resolves when Envoy is gone for good: after stop, or when its very first run failed to come up. */
  readonly exited: Promise<ChildExit>;
}

/**
 * Starts Envoy and keeps it running until stop. A first run that ends before its admin interface is open is a fault
 * that a restart does not mend, so it is not repeated; every later end by itself is a crash, repeated with back-off.
 * Rejects only when not even the process could be spawned, or a secret's file cannot be read.
 */
export async function startEnvoy(options: EnvoyOptions): Promise<EnvoyProcess> {
  const launch = await prepareLaunch(options, options.onNotice ?? options.onLog ?? (() => {}));
  try {
    const envoy = new SupervisedEnvoy(options, launch);
    await envoy.run();
    return envoy;
  } catch (error) {
    await launch.close();
    throw error;
  }
}

class SupervisedEnvoy implements EnvoyProcess {
  restarts = 0;
  takeovers = 0;
  wasmFailures = 0;
  readonly lastLines: string[] = [];
  readonly exited: Promise<ChildExit>;
  readonly #stopping = new AbortController();
  readonly #options: EnvoyOptions;
  /** All that have not been closed. */
  readonly #launches = new Set<PreparedLaunch>();
  /** The one that a run after a crash is started from. */
  #launch: PreparedLaunch;
  /** The one that the next run may be started from. */
  #asked: PreparedLaunch | undefined;
  #lineage: Lineage | undefined;
  #epoch = 0;
  /** The one in service. */
  #run: EnvoyRun | undefined;
  /** The one before it, which finishes its requests, and since when. */
  #former: { readonly run: EnvoyRun; readonly since: number } | undefined;
  /**
   * While another one is about to take over, and until that or what came of it is settled: the one in service has no admin
   * interface then, so this holds what it lacked before.
   */
  #handover: { readonly missing: string | undefined; next?: EnvoyRun } | undefined;
  #replacing: Promise<unknown> = Promise.resolve();
  #draining = false;
  #end: ChildExit | undefined;
  #resolveExited: (exit: ChildExit) => void = () => {};
  #everLive = false;
  #failedStarts = 0;

  constructor(options: EnvoyOptions, launch: PreparedLaunch) {
    this.#options = options;
    this.#launch = launch;
    this.#launches.add(launch);
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  get pid(): number | undefined {
    return this.#run?.pid;
  }

  get formerPid(): number | undefined {
    return this.#former?.run.pid;
  }

  get adminAddress(): AdminAddress | undefined {
    return this.#handover?.next?.admin ?? this.#run?.admin;
  }

  /** Starts one from nothing and watches it; resolves once it is spawned. */
  async run(): Promise<void> {
    this.#epoch = 0;
    if (this.#options.replaceable) this.#lineage = createLineage();
    const run = await this.#start(this.#launch);
    this.#run = run;
    // Stopped between a crash and this restart.
    if (this.#stopping.signal.aborted) run.kill("SIGKILL");
    this.#watch(run);
  }

  async live(): Promise<AdminAddress> {
    for (;;) {
      if (this.adminAddress) return this.adminAddress;
      if (this.#end) throw new Error(this.#lastWords(this.#end));
      await sleep(POLL_MS);
    }
  }

  async missing(): Promise<string | undefined> {
    if (this.#draining) return "it drains, or has ended";
    if (!this.#run) return "Envoy is being started again";
    return this.#handover ? this.#handover.missing : this.#run.missing();
  }

  async ready(signal?: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#end) throw new Error(this.#lastWords(this.#end));
      const missing = await this.missing();
      if (missing === undefined) return;
      if (signal?.aborted) throw new Error(`Envoy is not ready: ${missing}`);
      await sleep(POLL_MS);
    }
  }

  replace(launch: Launch): Promise<string | undefined> {
    if (!this.#options.replaceable) throw new Error("this Envoy was not started to be replaced");
    const replacing = this.#replace(launch).finally(() => {
      this.#asked = undefined;
      return this.#closeUnused();
    });
    this.#replacing = replacing.catch(() => {});
    return replacing;
  }

  async stop({ drainMs = 0, hurry }: { readonly drainMs?: number; readonly hurry?: AbortSignal } = {}): Promise<void> {
    if (!this.#draining) {
      this.#draining = true;
      if (drainMs > 0) await this.#drain(Date.now() + drainMs, hurry);
      this.#stopping.abort();
      if (this.#run) await endRun(this.#run);
      else await this.#finish({ code: 0, signal: null });
    }
    await this.exited;
  }

  async #replace(launch: Launch): Promise<string | undefined> {
    const next = await this.#prepare(launch).catch((error: Error) => error.message);
    if (typeof next === "string") return next;
    this.#asked = next;
    const fault = await findFault(next);
    if (fault !== undefined) return fault;
    await this.#former?.run.exited;
    if (!this.#run) {
      this.#launch = next;
      return undefined;
    }
    const failure = (await findObstacle(this.#run)) ?? (await this.#takeOver(next));
    for (let wait = FIRST_RESTART_MS; this.#handover && !this.#draining; wait = twice(wait)) {
      // One that is as it was gives the one in service its admin interface back.
      if ((await this.#takeOver(this.#launch)) !== undefined) await this.#pause(wait);
    }
    return failure;
  }

  /** Resolves with the reason why there is no other one in service. */
  async #takeOver(launch: PreparedLaunch): Promise<string | undefined> {
    const former = this.#run;
    if (!former || !this.#lineage || this.#draining) return "the Envoy in service ended";
    this.#handover ??= { missing: await former.missing() };
    const next = await this.#attempt(former, launch, this.#lineage).catch((error: Error) => error.message);
    if (typeof next === "string") {
      if ((await former.phase()) !== "none") this.#handover = undefined;
      return next;
    }
    this.#handover = undefined;
    this.#epoch += 1;
    this.takeovers += 1;
    this.#former = { run: former, since: Date.now() };
    this.#run = next;
    this.#launch = launch;
    this.#watch(next);
    // Envoy ends it by itself, if the one that took over lives.
    const killer = setTimeout(() => former.kill("SIGKILL"), 1_000 * handoverSeconds(launch) + KILL_AFTER_MS);
    void former.exited.then(() => clearTimeout(killer));
    return undefined;
  }

  /** The Envoy that has taken over, or why it has not. */
  async #attempt(former: EnvoyRun, launch: PreparedLaunch, lineage: Lineage): Promise<EnvoyRun | string> {
    const { takeoverMs: timeoutMs = TAKEOVER_MS } = this.#options;
    await clearInitializing(lineage);
    const next = await this.#start(launch, this.#epoch + 1);
    if (this.#handover) this.#handover.next = next;
    return (await awaitTakeover({ former, next, timeoutMs, signal: this.#stopping.signal })) ?? next;
  }

  async #prepare(launch: Launch): Promise<PreparedLaunch> {
    const prepared = await prepareLaunch(launch, this.#options.onNotice ?? this.#log);
    this.#launches.add(prepared);
    return prepared;
  }

  #start(launch: PreparedLaunch, epoch = 0): Promise<EnvoyRun> {
    return startRun(launch, {
      ...(this.#lineage ? { descent: { lineage: this.#lineage, epoch } } : {}),
      onLog: this.#log,
      onOutput: this.#options.onOutput ?? this.#log,
    });
  }

  #watch(run: EnvoyRun): void {
    void run.exited.then((exit) => (run === this.#run ? this.#ended(run, exit) : this.#formerEnded(run)));
  }

  readonly #log = (line: string): void => {
    this.lastLines.push(line);
    if (this.lastLines.length > LAST_LINES) this.lastLines.shift();
    if (WASM_FAILURE.test(line)) this.wasmFailures += 1;
    this.#options.onLog?.(line);
  };

  async #formerEnded(run: EnvoyRun): Promise<void> {
    if (run === this.#former?.run) this.#former = undefined;
    await this.#closeUnused();
  }

  async #ended(run: EnvoyRun, exit: ChildExit): Promise<void> {
    this.#run = undefined;
    // It may hold sockets that connections wait at.
    this.#handover?.next?.kill("SIGKILL");
    this.#handover = undefined;
    this.#everLive ||= run.wasLive;
    if (this.#lineage) await endLineage(this.#lineage);
    if (this.#draining || !this.#everLive) return this.#finish(exit);
    this.#failedStarts = Date.now() - run.startedAt >= SETTLED_MS ? 0 : this.#failedStarts;
    const restartInMs = Math.min(FIRST_RESTART_MS * 2 ** this.#failedStarts, LONGEST_RESTART_MS);
    this.#failedStarts += 1;
    this.#options.onCrash?.(exit, restartInMs);
    await this.#pause(restartInMs);
    if (this.#stopping.signal.aborted) return;
    this.restarts += 1;
    await this.run().catch(() => this.#finish({ code: 127, signal: null }));
  }

  async #drain(deadline: number, hurry: AbortSignal | undefined): Promise<void> {
    // One that is about to be replaced has no admin interface by which to have it drain.
    while (this.#handover && Date.now() < deadline && !hurry?.aborted) await sleep(POLL_MS);
    if (!this.adminAddress) return;
    const notBefore = this.#former ? this.#former.since + FORMER_KNOWN_MS : 0;
    await drain(this.adminAddress, { deadline, notBefore, ...(hurry ? { hurry } : {}) });
  }

  async #finish(exit: ChildExit): Promise<void> {
    if (this.#end) return;
    this.#end = exit;
    this.#stopping.abort();
    await this.#replacing;
    if (this.#former) await endRun(this.#former.run);
    for (const launch of this.#launches) await launch.close();
    this.#resolveExited(exit);
  }

  /** Not between two runs, when the next one may be about to start. */
  async #closeUnused(): Promise<void> {
    if (!this.#run) return;
    const used = [this.#launch, this.#asked, this.#run.launch, this.#former?.run.launch];
    for (const launch of this.#launches) {
      if (used.includes(launch) || !this.#launches.delete(launch)) continue;
      await launch.close();
    }
  }

  async #pause(millis: number): Promise<void> {
    await sleep(millis, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }

  #lastWords(exit: ChildExit): string {
    const how = exit.signal ? `was ended by ${exit.signal}` : `ended with exit code ${exit.code}`;
    const log = this.lastLines.length > 0 ? `. Its last words:\n${this.lastLines.join("\n")}` : "";
    return `Envoy (${this.#launch.binary}) ${how}${log}`;
  }
}

/** By SIGTERM; one with a worker in an endless loop does not end on that. */
async function endRun(run: EnvoyRun): Promise<void> {
  run.kill("SIGTERM");
  const killer = setTimeout(() => run.kill("SIGKILL"), KILL_AFTER_MS);
  await run.exited;
  clearTimeout(killer);
}

function twice(millis: number): number {
  return Math.min(2 * millis, LONGEST_RESTART_MS);
}
