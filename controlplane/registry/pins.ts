// Versions that policies name by headgate://FILTER@VERSION: they serve whatever rollouts say, and must not be removed.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileDurably } from "./durable.js";

export interface Pin {
  readonly filter: string;
  readonly version: string;
  /** The policy, as in "WasmPlugin shop/hello". */
  readonly by: string;
}

/** DIR/pins.json: written by the control plane that follows the directory, so that commands know what it serves. */
export class DirectoryPins {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  /** directory: the registry's. */
  constructor(directory: string) {
    this.#path = join(directory, "pins.json");
  }

  /** None where no control plane has written any. */
  async read(): Promise<readonly Pin[]> {
    const text = await this.#text();
    return text === undefined ? [] : (JSON.parse(text) as Pin[]);
  }

  /** Writes them where they are others than before, after what is being written. The directory is there. */
  write(pins: readonly Pin[]): Promise<void> {
    const text = `${JSON.stringify(pins, null, 2)}\n`;
    const write = async () => {
      if ((await this.#text()) !== text) await writeFileDurably(this.#path, text);
    };
    this.#writing = this.#writing.catch(() => {}).then(write);
    return this.#writing;
  }

  #text(): Promise<string | undefined> {
    return readFile(this.#path, "utf8").catch(() => undefined);
  }
}
