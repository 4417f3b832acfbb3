// Workloads that register themselves: while a proxy that names a WorkloadGroup is connected, a directory holds its
// WorkloadEntry, which is read as every other policy is. Entries outlive the control plane, and a proxy's short absence.
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Proxy } from "../proxy/proxy.js";
import { writeFileDurably } from "../registry/durable.js";
import type { WorkloadGroup } from "../resources/workload-group.js";
import { registeredEntry, registeredName, registrationFault } from "./registered-entry.js";

export interface RegistrationsOptions {
  /** Made where it is missing. Nobody else writes to it. */
  readonly directory: string;
  /** The group of a namespace as it is now. */
  readonly group: (namespace: string, name: string) => WorkloadGroup | undefined;
  /** A proxy that cannot register, and why; told once for each reason. */
  readonly onRefused?: (proxy: Proxy, reason: string) => void;
  /** The directory cannot be written. */
  readonly onFault?: (error: unknown) => void;
  /** How long an entry stays after its proxy left, in milliseconds. By default 10 s. */
  readonly graceMs?: number;
  /** The same for entries of before the start, whose proxies are yet to come back. By default 60 s. */
  readonly startGraceMs?: number;
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #proxies = new Map<string, Proxy>();
  /** By file name, as they lie in the directory. */
  readonly #written = new Map<string, string>();
  /** Files whose proxy is away. */
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  readonly #refused = new Map<string, string>();
  #pass: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** Reads what is registered from before. Rejects when the directory cannot be made or read. */
  async start(): Promise<void> {
    const { directory, startGraceMs = 60_000 } = this.#options;
    await mkdir(directory, { recursive: true });
    const files = (await readdir(directory)).filter((file) => file.endsWith(".yaml") && !file.startsWith("."));
    for (const file of files) {
      this.#written.set(file, await readFile(join(directory, file), "utf8"));
      this.#leave(file, startGraceMs);
    }
  }

  connected(proxy: Proxy): void {
    if (proxy.workloadGroup === undefined) return;
    this.#proxies.set(proxy.id, proxy);
    this.refresh();
  }

  disconnected(id: string): void {
    this.#refused.delete(id);
    if (this.#proxies.delete(id)) this.refresh();
  }

  /** To be called when groups may have changed. */
  refresh(): void {
    this.#pass = this.#pass.then(() => this.#writeAll()).catch((error) => this.#options.onFault?.(error));
  }

  /** Leaves the entries, for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    await this.#pass;
  }

  async #writeAll(): Promise<void> {
    if (this.#closed) return;
    const { directory, graceMs = 10_000 } = this.#options;
    const entries = this.#entries();
    for (const [file, text] of entries) {
      clearTimeout(this.#leaving.get(file));
      this.#leaving.delete(file);
      if (this.#written.get(file) === text) continue;
      await writeFileDurably(join(directory, file), text);
      this.#written.set(file, text);
    }
    for (const file of this.#written.keys()) {
      if (!entries.has(file) && !this.#leaving.has(file)) this.#leave(file, graceMs);
    }
  }

  /** What the directory should hold for the proxies that are connected. */
  #entries(): ReadonlyMap<string, string> {
    const entries = new Map<string, string>();
    for (const proxy of this.#proxies.values()) {
      const group = this.#options.group(proxy.namespace, proxy.workloadGroup ?? "");
      const fault = registrationFault(group, proxy);
      if (fault !== undefined && this.#refused.get(proxy.id) !== fault) this.#options.onRefused?.(proxy, fault);
      if (fault === undefined) this.#refused.delete(proxy.id);
      else this.#refused.set(proxy.id, fault);
      if (!group || fault !== undefined) continue;
      const name = registeredName(group.meta.name, proxy.addresses[0] ?? "");
      entries.set(`${proxy.namespace}.${name}.yaml`, registeredEntry(group, proxy));
    }
    return entries;
  }

  #leave(file: string, afterMs: number): void {
    const remove = async () => {
      if (this.#closed || !this.#leaving.delete(file)) return;
      await rm(join(this.#options.directory, file), { force: true });
      this.#written.delete(file);
    };
    const timer = setTimeout(() => {
      this.#pass = this.#pass.then(remove).catch((error) => this.#options.onFault?.(error));
    }, afterMs);
    timer.unref();
    this.#leaving.set(file, timer);
  }
}
