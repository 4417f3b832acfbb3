// The modules of all extensions: fetched, checked with their configurations and kept, each as long as its extension is.
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { runsModule, type WasmExtension } from "../mesh/extensions.js";
import type { Mesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { checkModule } from "../registry/check.js";
import type { Secret } from "../resources/kubernetes.js";
import { resourceKey } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { violationAt } from "../resources/violation-at.js";
import type { LoadedExtension } from "../translate/extension-config.js";
import { type ModuleFault, missing, type Outcome } from "./fault.js";
import { cacheKey, fetchModule, findCached, keepCached, type ModuleWays } from "./fetch-module.js";

/** The versions of filters that `headgate filter use` chose. */
export interface ChosenVersions {
  moduleFor(filter: string, proxy: Proxy): Uint8Array | undefined;
  /** Those that some proxy has or may get. */
  modulesOf(filter: string): readonly Uint8Array[];
}

export interface ExtensionModulesOptions extends ModuleWays {
  readonly chosen?: ChosenVersions;
  /** What moduleFor gives has changed. */
  readonly onChange: () => void;
  /** An extension got its module, or has a fault, each time that this changes. */
  readonly onOutcome?: (extension: WasmExtension, fault: ModuleFault | undefined) => void;
  /** A fault of ours, or of the disk. */
  readonly onFault: (error: unknown) => void;
  /** See CheckRequest. */
  readonly thread?: URL;
}

/** Milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;
const FILE_PERIOD = 1_000;

interface Entry {
  readonly wanted: WasmExtension;
  readonly secret: Secret | undefined;
  /** What serves; its module is the chosen version's where there is none here. */
  ready?: { readonly extension: WasmExtension; readonly key: string; readonly wasm?: Uint8Array };
  fault?: ModuleFault;
  /** Ends what is under way for `wanted`. */
  readonly stop: AbortController;
}

export class ExtensionModules {
  readonly #options: ExtensionModulesOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #loads = new Set<Promise<void>>();
  /** By module and configuration, what the check said. */
  readonly #checked = new Map<string, ModuleFault | undefined>();

  #checking: Promise<unknown> = Promise.resolve();

  constructor(options: ExtensionModulesOptions) {
    this.#options = options;
  }

  /**
   * Follows the mesh's extensions. Resolves once each new one has the module that was fetched before, where there is one,
   * so that proxies that come after a restart are not told that it is gone.
   */
  async update(mesh: Pick<Mesh, "extensions" | "secrets">): Promise<void> {
    const wanted = new Map(mesh.extensions.filter(runsModule).map((extension) => [resourceKey(extension), extension]));
    for (const [key, entry] of this.#entries) {
      if (wanted.has(key)) continue;
      entry.stop.abort();
      this.#entries.delete(key);
    }
    const begun = [...wanted].map(([key, extension]) => {
      const { pullSecret } = extension.spec.wasm;
      const secret =
        pullSecret === undefined ? undefined : mesh.secrets.get(`${extension.meta.namespace}/${pullSecret}`);
      const known = this.#entries.get(key);
      if (known && known.wanted === extension && known.secret === secret) return undefined;
      known?.stop.abort();
      const { ready } = known ?? {};
      const entry = { wanted: extension, secret, stop: new AbortController(), ...(ready ? { ready } : {}) };
      this.#entries.set(key, entry);
      return this.#begin(entry);
    });
    await Promise.all(begun);
  }

  /** What the proxy is to run for an extension. */
  moduleFor(extension: WasmExtension, proxy: Proxy): LoadedExtension | undefined {
    const { ready } = this.#entries.get(resourceKey(extension)) ?? {};
    if (!ready) return undefined;
    const { source } = ready.extension.spec.wasm;
    const wasm =
      source.type === "registry" ? (ready.wasm ?? this.#options.chosen?.moduleFor(source.filter, proxy)) : ready.wasm;
    return wasm && { extension: ready.extension, wasm };
  }

  /** Of the extensions that have not what they ask for. */
  get violations(): readonly Violation[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const unchosen = this.#unchosen(entry.wanted);
      const fault = entry.fault ?? unchosen;
      if (!fault) return [];
      const path = entry.wanted.kind === "WasmPlugin" ? ["spec", "url"] : ["spec", "wasm", "url"];
      const standing =
        entry.ready && !unchosen ? "what it had before serves on" : "its failStrategy says what becomes of requests";
      return [violationAt(entry.wanted, fault.code, "error", path, `${sentence(fault)}; until then ${standing}.`)];
    });
  }

  async close(): Promise<void> {
    for (const { stop } of this.#entries.values()) stop.abort();
    this.#entries.clear();
    await Promise.all(this.#loads);
  }

  async #begin(entry: Entry): Promise<void> {
    const { source, pullPolicy } = entry.wanted.spec.wasm;
    if (source.type === "registry" && source.version === undefined) {
      if (!(await this.#takeChosen(entry, source.filter))) this.#inBackground(this.#followChosen(entry, source.filter));
      return;
    }
    // The registry is near: waited for, so that no proxy is told after a restart that the module is gone.
    if (source.type === "registry" && (await this.#take(entry, await this.#fetch(entry)))) return;
    const isStable = source.type === "http" || source.type === "oci";
    const cached =
      this.#present(entry) ?? (await findCached(this.#wantedOf(entry), this.#options).catch(() => undefined));
    const took = cached !== undefined && !entry.stop.signal.aborted && (await this.#take(entry, { value: cached }));
    // A load that is not awaited: networks are slow.
    if (!took || !isStable || pullPolicy === "Always") this.#inBackground(this.#follow(entry));
  }

  #fetch(entry: Entry): Promise<Outcome<Uint8Array>> {
    return fetchModule(this.#wantedOf(entry), this.#options, entry.stop.signal);
  }

  /** What another version of the extension, or another extension, got from the same place. */
  #present(entry: Entry): Uint8Array | undefined {
    const key = cacheKey(this.#wantedOf(entry));
    for (const { ready } of this.#entries.values()) if (ready?.key === key && ready.wasm) return ready.wasm;
    return undefined;
  }

  #wantedOf({ wanted, secret }: Entry) {
    return { wasm: wanted.spec.wasm, ...(secret ? { secret } : {}) };
  }

  #inBackground(work: Promise<void>): void {
    const load: Promise<void> = work.catch(this.#options.onFault).finally(() => this.#loads.delete(load));
    this.#loads.add(load);
  }

  /** Fetches until the module is there; a file is followed on, because people build filters. */
  async #follow(entry: Entry): Promise<void> {
    const { signal } = entry.stop;
    const { source } = entry.wanted.spec.wasm;
    for (let failures = 0; !signal.aborted; ) {
      const stamp = source.type === "file" ? await stampOf(source.path) : "";
      const fetched = await this.#fetch(entry);
      const took = await this.#take(entry, fetched);
      if (source.type === "file") await changed(source.path, stamp, signal);
      else if (took) return;
      else await pause(Math.min(FIRST_RETRY * 2 ** failures++, LONGEST_RETRY), signal);
    }
  }

  /** The version that serves is chosen for each proxy; here the configuration is held against those that may. */
  async #takeChosen(entry: Entry, filter: string): Promise<boolean> {
    for (const wasm of this.#options.chosen?.modulesOf(filter) ?? []) {
      const fault = await this.#check(entry.wanted, wasm);
      if (entry.stop.signal.aborted) return false;
      if (!fault) continue;
      this.#settle(entry, fault);
      return false;
    }
    if (entry.stop.signal.aborted) return false;
    this.#settle(entry, undefined);
    entry.ready = { extension: entry.wanted, key: "" };
    this.#options.onChange();
    return true;
  }

  /** Another version may be chosen, or the one that refused may go. */
  async #followChosen(entry: Entry, filter: string): Promise<void> {
    const { signal } = entry.stop;
    do await pause(FIRST_RETRY, signal);
    while (!signal.aborted && !(await this.#takeChosen(entry, filter)));
  }

  /** True if the module serves from now on. */
  async #take(entry: Entry, fetched: Outcome<Uint8Array>): Promise<boolean> {
    const fault = "fault" in fetched ? fetched.fault : await this.#check(entry.wanted, fetched.value);
    if (entry.stop.signal.aborted) return false;
    this.#settle(entry, fault);
    if (fault || "fault" in fetched) return false;
    const { ready } = entry;
    const isSame = ready?.wasm !== undefined && Buffer.compare(ready.wasm, fetched.value) === 0;
    if (isSame && ready.extension === entry.wanted) return true;
    const key = cacheKey(this.#wantedOf(entry));
    entry.ready = { extension: entry.wanted, key, wasm: isSame ? ready.wasm : this.#shared(fetched.value) };
    this.#options.onChange();
    await keepCached(this.#wantedOf(entry), fetched.value, this.#options).catch(this.#options.onFault);
    return true;
  }

  #settle(entry: Entry, fault: ModuleFault | undefined): void {
    const changed = entry.fault?.message !== fault?.message || (!fault && entry.ready?.extension !== entry.wanted);
    if (fault) entry.fault = fault;
    else delete entry.fault;
    if (changed) this.#options.onOutcome?.(entry.wanted, fault);
  }

  /** The bytes that another extension has already, if they are the same. */
  #shared(wasm: Uint8Array): Uint8Array {
    for (const { ready } of this.#entries.values())
      if (ready?.wasm && Buffer.compare(ready.wasm, wasm) === 0) return ready.wasm;
    return wasm;
  }

  async #check({ spec }: WasmExtension, wasm: Uint8Array): Promise<ModuleFault | undefined> {
    const { configuration, pluginName } = spec.wasm;
    const key = JSON.stringify([createHash("sha256").update(wasm).digest("hex"), configuration, pluginName]);
    if (this.#checked.has(key)) return this.#checked.get(key);
    const { thread } = this.#options;
    const request = { wasm, configuration, rootId: pluginName, ...(thread ? { thread } : {}) };
    // One after the other: each is a thread, and there may be many extensions when the control plane starts.
    const check = this.#checking.then(() => checkModule(request));
    this.#checking = check.catch(() => {});
    const checked = await check;
    const fault: ModuleFault | undefined =
      "fault" in checked
        ? { code: "refused-module", message: `the module is refused: ${checked.fault.code}, ${checked.fault.message}` }
        : undefined;
    if (this.#checked.size >= MOST_CHECKED) this.#checked.clear();
    this.#checked.set(key, fault);
    return fault;
  }

  #unchosen({ spec }: WasmExtension): ModuleFault | undefined {
    const { source } = spec.wasm;
    if (source.type !== "registry" || source.version !== undefined) return undefined;
    const { chosen } = this.#options;
    if (!chosen) return missing("this control plane has no filter registry: give it --filters or --kube").fault;
    if (chosen.modulesOf(source.filter).length > 0) return undefined;
    return missing(`no version of it is in use: choose one with headgate filter use ${source.filter}@VERSION`).fault;
  }
}

const MOST_CHECKED = 1_000;

function sentence({ message }: ModuleFault): string {
  return `${message[0]?.toUpperCase()}${message.slice(1)}`;
}

/** Another one when the file has changed. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found ? `${found.ino} ${found.size} ${found.mtimeMs}` : "";
}

/** Resolves when the file is another than its stamp says, or when that is no longer of interest. */
async function changed(path: string, stamp: string, signal: AbortSignal): Promise<void> {
  do await pause(FILE_PERIOD, signal);
  while (!signal.aborted && (await stampOf(path)) === stamp);
}

/** Ends early, not failing, when nobody waits any longer. */
async function pause(millis: number, signal: AbortSignal): Promise<void> {
  await sleep(millis, undefined, { signal, ref: false }).catch(() => {});
}
