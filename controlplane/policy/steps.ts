// Work that can be left for a while between its steps, so that whoever shares the thread gets a turn.

/** Yields between steps of at most some ten milliseconds; returns the result. */
export type Steps<T> = Generator<void, T>;

/** Does all steps at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
