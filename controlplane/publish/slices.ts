// Long work of several tasks in short stretches, between which everybody else on the event loop gets a turn.

/** Milliseconds. */
const STRETCH = 5;

export class Slices {
  #end = 0;
  readonly #waiting: (() => void)[] = [];

  /** All tasks together hold the event loop for about so many milliseconds at a time. */
  constructor(readonly millis = STRETCH) {}

  /** Whether the stretch is used up, so that whoever has more to do must wait for a turn(). */
  isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Resolves at once within a stretch, else when the caller's turn has come: as many as fit in, each time around the loop. */
  async turn(): Promise<void> {
    if (!this.isOver()) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#begin());
    });
  }

  /** Does all steps, with turns of others between them as need be. */
  async finish<T>(steps: Iterator<void, T>): Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (this.isOver()) await this.turn();
    }
  }

  #begin(): void {
    this.#end = performance.now() + this.millis;
    this.#next();
  }

  #next(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length === 0) return;
    // A tick that a microtask asks for comes when the task has done all that it does before it waits for something.
    queueMicrotask(() =>
      process.nextTick(() => {
        if (this.isOver()) setImmediate(() => this.#begin());
        else this.#next();
      }),
    );
  }
}
