// The filter registry: named filters with immutable versions, shared by the commands and the control plane.
import { createHash } from "node:crypto";
import { type CheckRequest, checkModule } from "./check.js";
import { type Outcome, refuse } from "./fault.js";
import type { FilterVersion, VersionStore } from "./version-store.js";

export interface PushRequest extends CheckRequest {
  readonly name: string;
  readonly version: string;
  readonly by: string;
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;
const VERSION = /^[A-Za-z0-9]([-A-Za-z0-9._+]{0,61}[A-Za-z0-9])?$/;
/** What was not finished for so long never will be. Milliseconds. */
const UNFINISHED_FOR = 3_600_000;

/** Methods reject when what keeps the versions cannot be reached. */
export class FilterRegistry {
  readonly #versions: VersionStore;

  constructor(versions: VersionStore) {
    this.#versions = versions;
  }

  /** Checks and adds a version; one that exists is never changed. */
  async push(request: PushRequest): Promise<Outcome<FilterVersion>> {
    const { name, version, wasm, by } = request;
    const named = checkName(name, version);
    if ("fault" in named) return named;
    if (version === BUILT_IN)
      return refuse("filter-bad-name", `"${BUILT_IN}" is the version that Headgate brings along`);
    const checked = await checkModule(request);
    if ("fault" in checked) return checked;
    const { schema, ...facts } = checked.value;
    const record: FilterVersion = {
      name,
      version,
      sha256: createHash("sha256").update(wasm).digest("hex"),
      size: wasm.length,
      ...facts,
      ...(schema === undefined ? {} : { configurationSchema: schema }),
      addedAt: new Date().toISOString(),
      addedBy: by,
    };
    if (await this.#versions.add(record, wasm)) return { value: record };
    return refuse("filter-version-exists", `${name}@${version} exists, and versions never change: choose another`);
  }

  /** All versions, by name and then by the time they were added. */
  async list(): Promise<FilterVersion[]> {
    const found = [...(await this.#versions.list())];
    return found.sort((a, b) => compare(a.name, b.name) || compare(a.addedAt, b.addedAt));
  }

  async show(name: string, version: string): Promise<Outcome<FilterVersion>> {
    const named = checkName(name, version);
    if ("fault" in named) return named;
    const found = await this.#versions.find(name, version);
    if (found === undefined) return refuse("filter-not-found", `there is no ${name}@${version}`);
    if (found === "damaged")
      return refuse("filter-damaged", `the record of ${name}@${version} is not what was written`);
    return { value: found };
  }

  /** The module's bytes, which are what was pushed; where another SHA-256 is expected, they have been replaced since. */
  async module(name: string, version: string, expected?: string): Promise<Outcome<Uint8Array>> {
    const shown = await this.show(name, version);
    if ("fault" in shown) return shown;
    if (expected !== undefined && expected !== shown.value.sha256)
      return refuse("filter-damaged", `${name}@${version} is not the version that was chosen: its SHA-256 is another`);
    const wasm = await this.#versions.read(name, version);
    if (createHash("sha256").update(wasm).digest("hex") === shown.value.sha256) return { value: wasm };
    return refuse("filter-damaged", `the module of ${name}@${version} is not the one that was pushed`);
  }

  /** Whether it is in use is the caller's to know. */
  async remove(name: string, version: string): Promise<Outcome<void>> {
    const named = checkName(name, version);
    if ("fault" in named) return named;
    if (await this.#versions.remove(name, version)) return { value: undefined };
    return refuse("filter-not-found", `there is no ${name}@${version}`);
  }

  /**
   * Removes the versions of a filter beyond the newest `keep`, those in use apart, and what was left unfinished. Gives the
   * versions that it removed.
   */
  async collect(name: string, keep: number, inUse: { has(version: string): boolean }): Promise<string[]> {
    const versions = (await this.list()).filter((version) => version.name === name).map(({ version }) => version);
    const removable = versions.slice(0, Math.max(0, versions.length - keep)).filter((version) => !inUse.has(version));
    for (const version of removable) await this.remove(name, version);
    await this.#versions.sweep(UNFINISHED_FOR);
    return removable;
  }
}

/** The version that Headgate brings along of its own filter. */
export const BUILT_IN = "built-in";

/** "NAME@VERSION". */
export function parseReference(text: string): Outcome<{ readonly name: string; readonly version: string }> {
  const at = text.indexOf("@");
  const [name, version] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  const named = checkName(name, version);
  return "fault" in named ? named : { value: { name, version } };
}

function checkName(name: string, version: string): Outcome<void> {
  if (!NAME.test(name))
    return refuse("filter-bad-name", `"${name}" is no filter's name: lower-case letters, digits, - and .`);
  if (!VERSION.test(version) || version.includes(".."))
    return refuse("filter-bad-name", `"${version}" is no version: letters, digits, -, ., _ and +, as in 1.2.0`);
  return { value: undefined };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
