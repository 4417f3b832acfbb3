// The filter registry: a directory of named filters with immutable versions, shared by the commands and the control plane.
//
//   DIR/modules/NAME/VERSION/{module.wasm,version.json}
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CheckRequest, checkModule } from "./check.js";
import { createDirectoryDurably, removeDirectoryDurably, UNFINISHED } from "./durable.js";
import { type Outcome, refuse } from "./fault.js";

export interface FilterVersion {
  readonly name: string;
  readonly version: string;
  /** Of the module, in hexadecimal. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly abi: string;
  /** Of the module's memory after its smoke requests; bytes. */
  readonly memoryBytes: number;
  /** JSON schema of its configuration, if it declares one. */
  readonly configurationSchema?: unknown;
  /** ISO 8601. */
  readonly addedAt: string;
  readonly addedBy: string;
}

export interface PushRequest extends CheckRequest {
  readonly name: string;
  readonly version: string;
  readonly by: string;
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;
const VERSION = /^[A-Za-z0-9]([-A-Za-z0-9._+]{0,61}[A-Za-z0-9])?$/;

export class FilterRegistry {
  readonly #modules: string;

  constructor(readonly directory: string) {
    this.#modules = join(directory, "modules");
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
    const files = new Map<string, Uint8Array | string>([
      ["module.wasm", wasm],
      ["version.json", `${JSON.stringify(record, null, 2)}\n`],
    ]);
    if (await createDirectoryDurably(join(this.#modules, name, version), files)) return { value: record };
    return refuse("filter-version-exists", `${name}@${version} exists, and versions never change: choose another`);
  }

  /** All versions, by name and then by the time they were added. */
  async list(): Promise<FilterVersion[]> {
    const found: FilterVersion[] = [];
    for (const name of await entries(this.#modules))
      for (const version of await entries(join(this.#modules, name))) {
        const shown = await this.show(name, version);
        if ("value" in shown) found.push(shown.value);
      }
    return found.sort((a, b) => compare(a.name, b.name) || compare(a.addedAt, b.addedAt));
  }

  async show(name: string, version: string): Promise<Outcome<FilterVersion>> {
    const named = checkName(name, version);
    if ("fault" in named) return named;
    const text = await readFile(join(this.#modules, name, version, "version.json"), "utf8").catch(() => undefined);
    if (text === undefined) return refuse("filter-not-found", `there is no ${name}@${version}`);
    return { value: JSON.parse(text) as FilterVersion };
  }

  /** The module's bytes, which are what was pushed. */
  async module(name: string, version: string): Promise<Outcome<Uint8Array>> {
    const shown = await this.show(name, version);
    if ("fault" in shown) return shown;
    const wasm = await readFile(join(this.#modules, name, version, "module.wasm")).catch(() => Buffer.alloc(0));
    if (createHash("sha256").update(wasm).digest("hex") === shown.value.sha256) return { value: wasm };
    return refuse("filter-damaged", `the module of ${name}@${version} is not the one that was pushed`);
  }

  /** Whether it is in use is the caller's to know. */
  async remove(name: string, version: string): Promise<Outcome<void>> {
    const named = checkName(name, version);
    if ("fault" in named) return named;
    if (await removeDirectoryDurably(join(this.#modules, name, version))) return { value: undefined };
    return refuse("filter-not-found", `there is no ${name}@${version}`);
  }

  /** Removes the versions of a filter beyond the newest `keep`, those in use apart. Gives what it removed. */
  async collect(name: string, keep: number, inUse: ReadonlySet<string>): Promise<string[]> {
    const versions = (await this.list()).filter((version) => version.name === name).map(({ version }) => version);
    const removable = versions.slice(0, Math.max(0, versions.length - keep)).filter((version) => !inUse.has(version));
    for (const version of removable) await this.remove(name, version);
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

async function entries(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [] as string[]);
  return names.filter((name) => !name.startsWith(UNFINISHED));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
