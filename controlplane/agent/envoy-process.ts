// Keeps one Envoy running: start, readiness, restart after a crash, drain and stop.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { drain } from "./drain.js";
import { type AdminAddress, parseAdminAddress } from "./envoy-admin.js";
import { followSecrets } from "./followed-secrets.js";
import { expectationOf, missingForReadiness } from "./readiness.js";
import { type ChildExit, spawnTied, type TiedChild } from "./tied-child.js";

const POLL_MS = 50;
const KILL_AFTER_MS = 2000;
const FIRST_RESTART_MS = 500;
const LONGEST_RESTART_MS = 30_000;
/** A run that lasted this long was no failed start: the next wait is short again. */
const SETTLED_MS = 10_000;
const LAST_LINES = 20;

export interface EnvoyOptions {
  /** A complete bootstrap, in the JSON form of envoy.config.bootstrap.v3.Bootstrap. Static secrets are followed. */
  readonly bootstrap: object;
  /** Path of the Envoy binary. */
  readonly binary: string;
  /** trace, debug, info, warning (the default), error, critical or off. */
  readonly logLevel?: string;
  /** Worker threads; Envoy's own default (one a core) if absent. */
  readonly concurrency?: number;
  /** How long a listener that the control plane removed or replaced may finish its connections; 45 s by default. */
  readonly listenerDrainSeconds?: number;
  readonly extraArguments?: readonly string[];
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
  /** How often Envoy ended by itself and was started again. */
  readonly restarts: number;
  /** Undefined while traffic may flow, else what is missing, in words for a person; never rejects. */
  missing(): Promise<string | undefined>;
  /** Envoy's last log lines, oldest first, for an error message. */
  readonly lastLines: readonly string[];
  /** Resolves when the admin interface answers; rejects, with Envoy's last words, if the first run ends before. */
  live(): Promise<AdminAddress>;
  /** Resolves when traffic may flow: see missingForReadiness. Rejects when Envoy has ended or the signal aborts. */
  ready(signal?: AbortSignal): Promise<void>;
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
  const directory = await mkdtemp(join(tmpdir(), "headgate-envoy-"));
  try {
    const secrets = await followSecrets(options.bootstrap, directory, (notice) =>
      (options.onNotice ?? options.onLog)?.(notice),
    );
    await writeFile(join(directory, "bootstrap.json"), JSON.stringify(secrets.bootstrap), { mode: 0o600 });
    const envoy = new SupervisedEnvoy(options, directory);
    void envoy.exited.then(() => secrets.close());
    await envoy.run();
    return envoy;
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

class SupervisedEnvoy implements EnvoyProcess {
  adminAddress: AdminAddress | undefined;
  restarts = 0;
  readonly lastLines: string[] = [];
  readonly exited: Promise<ChildExit>;
  readonly #stopping = new AbortController();
  readonly #options: EnvoyOptions;
  readonly #directory: string;
  #child: TiedChild | undefined;
  #end: ChildExit | undefined;
  #resolveExited: (exit: ChildExit) => void = () => {};
  #everLive = false;
  #failedStarts = 0;

  constructor(options: EnvoyOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Spawns one run and watches it; resolves once it is spawned. */
  async run(): Promise<void> {
    const addressFile = join(this.#directory, "admin-address");
    await rm(addressFile, { force: true });
    const child = await spawnTied(this.#options.binary, this.#arguments(addressFile));
    this.#child = child;
    // Stopped between a crash and this restart.
    if (this.#stopping.signal.aborted) child.kill("SIGKILL");
    createInterface({ input: child.stderr }).on("line", (line) => this.#log(line));
    const onOutput = this.#options.onOutput ?? ((line: string) => this.#log(line));
    createInterface({ input: child.stdout }).on("line", onOutput);
    const startedAt = Date.now();
    void this.#awaitAdmin(child, addressFile);
    void child.exited.then((exit) => this.#ended(exit, Date.now() - startedAt));
  }

  async live(): Promise<AdminAddress> {
    for (;;) {
      if (this.adminAddress) return this.adminAddress;
      if (this.#end) throw new Error(this.#lastWords(this.#end));
      await sleep(POLL_MS);
    }
  }

  async missing(): Promise<string | undefined> {
    if (this.#stopping.signal.aborted) return "it drains, or has ended";
    if (!this.adminAddress) return "Envoy's admin interface has not opened";
    return missingForReadiness(this.adminAddress, expectationOf(this.#options.bootstrap)).catch(
      (error: Error) => error.message,
    );
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

  async stop({ drainMs = 0, hurry }: { readonly drainMs?: number; readonly hurry?: AbortSignal } = {}): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort();
      if (this.adminAddress && drainMs > 0) await drain(this.adminAddress, drainMs, hurry);
      const child = this.#child;
      if (!child) await this.#finish({ code: 0, signal: null });
      else {
        child.kill("SIGTERM");
        // A worker in an endless loop does not end on SIGTERM.
        const killer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
        await child.exited;
        clearTimeout(killer);
      }
    }
    await this.exited;
  }

  #arguments(addressFile: string): string[] {
    const { concurrency, listenerDrainSeconds = 45, logLevel = "warning", extraArguments = [] } = this.#options;
    return [
      "-c",
      join(this.#directory, "bootstrap.json"),
      "--admin-address-path",
      addressFile,
      "--disable-hot-restart",
      "--log-level",
      logLevel,
      "--drain-time-s",
      String(listenerDrainSeconds),
      "--drain-strategy",
      "immediate",
      ...(concurrency === undefined ? [] : ["--concurrency", String(concurrency)]),
      ...extraArguments,
    ];
  }

  async #awaitAdmin(child: TiedChild, addressFile: string): Promise<void> {
    while (this.#child === child && !this.adminAddress) {
      const address = parseAdminAddress(await readFile(addressFile, "utf8").catch(() => ""));
      if (address && this.#child === child) {
        this.adminAddress = address;
        this.#everLive = true;
      } else await sleep(POLL_MS);
    }
  }

  #log(line: string): void {
    this.lastLines.push(line);
    if (this.lastLines.length > LAST_LINES) this.lastLines.shift();
    this.#options.onLog?.(line);
  }

  async #ended(exit: ChildExit, lastedMs: number): Promise<void> {
    this.#child = undefined;
    this.adminAddress = undefined;
    if (this.#stopping.signal.aborted || !this.#everLive) return this.#finish(exit);
    this.#failedStarts = lastedMs >= SETTLED_MS ? 0 : this.#failedStarts;
    const restartInMs = Math.min(FIRST_RESTART_MS * 2 ** this.#failedStarts, LONGEST_RESTART_MS);
    this.#failedStarts += 1;
    this.#options.onCrash?.(exit, restartInMs);
    const waited = await sleep(restartInMs, true, { signal: this.#stopping.signal }).catch(() => false);
    if (!waited) return;
    this.restarts += 1;
    await this.run().catch(() => this.#finish({ code: 127, signal: null }));
  }

  async #finish(exit: ChildExit): Promise<void> {
    this.#end = exit;
    await rm(this.#directory, { recursive: true, force: true });
    this.#resolveExited(exit);
  }

  #lastWords(exit: ChildExit): string {
    const how = exit.signal ? `was ended by ${exit.signal}` : `ended with exit code ${exit.code}`;
    const log = this.lastLines.length > 0 ? `. Its last words:\n${this.lastLines.join("\n")}` : "";
    return `Envoy (${this.#options.binary}) ${how}${log}`;
  }
}
