// Workloads that register themselves: while a proxy that names a WorkloadGroup is connected, its WorkloadEntry lies where it
// is read as every other policy is. Entries outlive the control plane, and a proxy's short absence.
import type { Proxy } from "../proxy/proxy.js";
import type { WorkloadGroup } from "../resources/workload-group.js";
import type { Entries, EntryName } from "./entries.js";
import { type RegisteredEntry, registeredEntry, registrationFault } from "./registered-entry.js";

export interface RegistrationsOptions {
  /** Closed at the end. */
  readonly entries: Entries;
  /** The group of a namespace as it is now. */
  readonly group: (namespace: string, name: string) => WorkloadGroup | undefined;
  /** A proxy that cannot register, and why; told once for each reason. */
  readonly onRefused?: (proxy: Proxy, reason: string) => void;
  /** Entries cannot be written. */
  readonly onFault?: (error: unknown) => void;
  /** How long an entry stays after its proxy left, in milliseconds. By default 10 s. */
  readonly graceMs?: number;
  /** The same for entries of before the start, whose proxies are yet to come back. By default 60 s. */
  readonly startGraceMs?: number;
  /** After which what failed is tried again, in milliseconds. By default 5 s. */
  readonly retryMs?: number;
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #proxies = new Map<string, Proxy>();
  /** By key, the entries that are ours; those from before the start without their text. */
  readonly #written = new Map<string, string | undefined>();
  /** Keys of those whose proxy is away. */
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  /** Key of the entry that is being written. */
  #writing: string | undefined;
  readonly #refused = new Map<string, string>();
  readonly #faults = new Map<string, string>();
  #retry: NodeJS.Timeout | undefined;
  #pass: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** Reads what is registered from before. Rejects when it cannot be read. */
  async start(): Promise<void> {
    const { entries, startGraceMs = 60_000 } = this.#options;
    for (const name of await entries.start()) {
      this.#written.set(keyOf(name), undefined);
      this.#leave(name, startGraceMs);
    }
  }

  connected(proxy: Proxy): void {
    if (proxy.workloadGroup === undefined) {
      this.disconnected(proxy.id);
    } else {
      this.#proxies.set(proxy.id, proxy);
      this.#refresh();
    }
  }

  disconnected(id: string): void {
    this.#refused.delete(id);
    if (this.#proxies.delete(id)) this.#refresh();
  }

  /** Follows what was changed, by resourceKey: groups, and entries that are gone and whose proxies are not. */
  changed(keys: Iterable<string>, isThere: (key: string) => boolean): void {
    let isConcerned = false;
    const gone: string[] = [];
    for (const key of keys) {
      const [kind, namespace = "", name = ""] = key.split("/");
      if (kind === "WorkloadGroup") isConcerned = true;
      const entry = keyOf({ namespace, name });
      const isOurs = this.#written.has(entry) || this.#writing === entry;
      if (kind === "WorkloadEntry" && isOurs && !isThere(key)) gone.push(entry);
    }
    if (isConcerned || gone.length > 0) this.#refresh(gone);
  }

  /** Writes what is not as it should be, and those that are gone, once what is being written by now is. */
  #refresh(gone: readonly string[] = []): void {
    const write = () => {
      for (const key of gone) this.#written.delete(key);
      return this.#writeAll();
    };
    this.#pass = this.#pass.then(write).catch((error) => this.#options.onFault?.(error));
  }

  /** Leaves the entries, for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of [...this.#leaving.values(), this.#retry]) clearTimeout(timer);
    await this.#pass;
    await this.#options.entries.close();
  }

  async #writeAll(): Promise<void> {
    if (this.#closed) return;
    const wanted = this.#wanted();
    for (const [key, entry] of wanted) {
      clearTimeout(this.#leaving.get(key));
      this.#leaving.delete(key);
      const text = JSON.stringify(entry);
      if (this.#written.get(key) === text) continue;
      this.#writing = key;
      if (await this.#try(key, () => this.#options.entries.put(entry))) this.#written.set(key, text);
      this.#writing = undefined;
    }
    for (const key of this.#written.keys()) {
      if (!wanted.has(key) && !this.#leaving.has(key)) this.#leave(nameOf(key), this.#options.graceMs ?? 10_000);
    }
  }

  /** The entries that there should be for the proxies that are connected. */
  #wanted(): ReadonlyMap<string, RegisteredEntry> {
    const wanted = new Map<string, RegisteredEntry>();
    for (const proxy of this.#proxies.values()) {
      const group = this.#options.group(proxy.namespace, proxy.workloadGroup ?? "");
      const fault = registrationFault(group, proxy);
      if (fault !== undefined && this.#refused.get(proxy.id) !== fault) this.#options.onRefused?.(proxy, fault);
      if (fault === undefined) this.#refused.delete(proxy.id);
      else this.#refused.set(proxy.id, fault);
      if (!group || fault !== undefined) continue;
      const entry = registeredEntry(group, proxy);
      wanted.set(keyOf(entry.metadata), entry);
    }
    return wanted;
  }

  /** One entry that cannot be written holds up no other; it is tried again, and told once for each reason. */
  async #try(key: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#faults.delete(key);
      return true;
    } catch (error) {
      if (this.#faults.get(key) !== String(error)) this.#options.onFault?.(error);
      this.#faults.set(key, String(error));
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        this.#refresh();
      }, this.#options.retryMs ?? 5_000).unref();
      return false;
    }
  }

  #leave(name: EntryName, afterMs: number): void {
    const key = keyOf(name);
    const remove = async () => {
      if (this.#closed || !this.#leaving.delete(key)) return;
      if (await this.#try(key, () => this.#options.entries.remove(name))) this.#written.delete(key);
    };
    const timer = setTimeout(() => {
      this.#pass = this.#pass.then(remove).catch((error) => this.#options.onFault?.(error));
    }, afterMs);
    timer.unref();
    this.#leaving.set(key, timer);
  }
}

function keyOf({ namespace, name }: EntryName): string {
  return `${namespace}/${name}`;
}

function nameOf(key: string): EntryName {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, name };
}
