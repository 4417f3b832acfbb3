// Whose turn it is: streams with something to send take turns of one response, and requests are read in between.

/** One stream. A turn writes at most one response and returns its size in bytes, 0 when there was none to write. */
export interface TurnTaker {
  takeTurn(): number;
}

/**
 * The first in line is served first; who wants more lines up again behind the others. The event loop reads sockets
 * between two rounds, so requests are never kept waiting by pushes, and each round serves pushes whatever is read.
 */
export class Turns {
  readonly #line = new Set<TurnTaker>();
  #isScheduled = false;

  /** A round ends when it has written this much, or has served so many. */
  constructor(
    readonly bytesPerRound: number,
    readonly turnsPerRound: number,
  ) {}

  /** Lines up, unless it stands in line already. */
  enter(taker: TurnTaker): void {
    this.#line.add(taker);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#round());
  }

  leave(taker: TurnTaker): void {
    this.#line.delete(taker);
  }

  #round(): void {
    let bytes = 0;
    let turns = Math.min(this.#line.size, this.turnsPerRound);
    for (const taker of this.#line) {
      if (turns-- === 0 || bytes >= this.bytesPerRound) break;
      this.#line.delete(taker);
      bytes += taker.takeTurn();
    }
    this.#isScheduled = this.#line.size > 0;
    if (this.#isScheduled) setImmediate(() => this.#round());
  }
}
