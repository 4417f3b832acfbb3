// Brings states to their taker one at a time. States that come meanwhile become one, with all that changed in them.
import type { SourceState } from "../sources/source.js";

export class Updates {
  readonly #take: (state: SourceState, before: SourceState | undefined) => Promise<void>;
  #taken: SourceState | undefined;
  #waiting: SourceState | undefined;
  #running: Promise<void> | undefined;

  readonly #onFault: (error: unknown) => void;

  /** `take` gets the state and the one that it took before. A state that it fails on is left out, and told. */
  constructor(
    take: (state: SourceState, before: SourceState | undefined) => Promise<void>,
    onFault: (error: unknown) => void,
  ) {
    this.#take = take;
    this.#onFault = onFault;
  }

  /** Resolves when this state, or a later one in its place, was taken. */
  offer(state: SourceState): Promise<void> {
    const changed = this.#waiting ? new Set([...this.#waiting.changed, ...state.changed]) : state.changed;
    this.#waiting = { ...state, changed };
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let state = this.#waiting; state; state = this.#waiting) {
      this.#waiting = undefined;
      try {
        await this.#take(state, this.#taken);
        this.#taken = state;
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}
