// Modules that were fetched once, on disk, so that a restart needs no network. Every write is whole or not there.
//
//   DIR/modules/SHA256.wasm
//   DIR/sources/SHA256-OF-THE-SOURCE    the module's SHA-256
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { UNFINISHED, writeFileDurably } from "../registry/durable.js";

/** Beyond so many, those that were fetched longest ago go. */
const MOST_MODULES = 200;

export class ModuleCache {
  readonly #modules: string;
  readonly #sources: string;
  /** One write at a time: what is written aside has one name. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#modules = join(directory, "modules");
    this.#sources = join(directory, "sources");
  }

  /** The module that last came from there; undefined when none did, or when it is damaged. */
  async find(source: string): Promise<Uint8Array | undefined> {
    const sha256 = await readFile(this.#place(source), "utf8").catch(() => undefined);
    return sha256 === undefined ? undefined : this.module(sha256);
  }

  /** By its SHA-256, in hexadecimal. */
  async module(sha256: string): Promise<Uint8Array | undefined> {
    if (!/^[0-9a-f]{64}$/.test(sha256)) return undefined;
    const bytes = await readFile(join(this.#modules, `${sha256}.wasm`)).catch(() => undefined);
    return bytes && hex(bytes) === sha256 ? bytes : undefined;
  }

  /** Rejects when the disk fails. */
  keep(source: string, module: Uint8Array): Promise<void> {
    const written = this.#writing.then(async () => {
      const sha256 = hex(module);
      await mkdir(this.#modules, { recursive: true });
      await mkdir(this.#sources, { recursive: true });
      if (!(await this.module(sha256))) await writeFileDurably(join(this.#modules, `${sha256}.wasm`), module);
      await writeFileDurably(this.#place(source), sha256);
      await this.#collect();
    });
    this.#writing = written.catch(() => {});
    return written;
  }

  #place(source: string): string {
    return join(this.#sources, hex(source));
  }

  /** Sources whose module is gone are fetched anew, so they may stay. */
  async #collect(): Promise<void> {
    const names = (await readdir(this.#modules)).filter((name) => !name.startsWith(UNFINISHED));
    if (names.length <= MOST_MODULES) return;
    const aged = await Promise.all(
      names.map(async (name) => ({ name, age: (await stat(join(this.#modules, name))).mtimeMs })),
    );
    const oldest = aged.sort((a, b) => a.age - b.age).slice(0, names.length - MOST_MODULES);
    for (const { name } of oldest) await rm(join(this.#modules, name), { force: true });
  }
}

function hex(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}
