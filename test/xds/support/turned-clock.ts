// A clock whose hands only the test turns, so that no test depends on how fast the machine is.
import type { Clock } from "../../../controlplane/xds/clock.js";

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

export class TurnedClock implements Clock {
  #now = 1_000_000;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  after(millis: number, callback: () => void): () => void {
    const alarm = { at: this.#now + millis, callback };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Lets so many milliseconds pass, and what was due in them happen in its order. */
  advance(millis: number): void {
    const end = this.#now + millis;
    for (;;) {
      const [next] = [...this.#alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }
}
