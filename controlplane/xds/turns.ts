// Whose turn it is: requests are taken in first, and streams with something to send take turns of one response, as long as
// not too much is on its way already.

/** One stream. A turn writes at most one response and returns its size in bytes, 0 when there was none to write. */
export interface TurnTaker {
  takeTurn(): number;
}

/** A request that was read. */
export interface WaitingRequest {
  readonly bytes: number;
  /** Takes it in; must not throw. */
  readonly take: () => void;
}

/** A round goes on for at most so long, so that many turns together hold nobody up. */
const ROUND_MILLIS = 5;

/**
 * The first in line is served first; who wants more lines up again behind the others. Each round takes requests in, then
 * serves pushes; when the requests took its time, the next one is for pushes alone. The event loop reads sockets between two
 * rounds.
 */
export class Turns {
  readonly #line = new Set<TurnTaker>();
  readonly #requests = new Set<WaitingRequest>();
  #waitingBytes = 0;
  #bytesOnTheWay = 0;
  #isScheduled = false;
  /** The last round had no time for them. */
  #arePushesDue = false;

  /**
   * A round ends when it has written this much, or has served so many, and `onRound` is called after each. While
   * `mostOnTheWay` bytes or more are on their way, nobody has a turn.
   */
  constructor(
    readonly bytesPerRound: number,
    readonly turnsPerRound: number,
    readonly mostOnTheWay: number,
    readonly onRound: () => void = () => {},
  ) {}

  /** Lines up, unless it stands in line already. */
  enter(taker: TurnTaker): void {
    this.#line.add(taker);
    this.#schedule();
  }

  request(request: WaitingRequest): void {
    this.#requests.add(request);
    this.#waitingBytes += request.bytes;
    this.#schedule();
  }

  /** Of requests that are not taken in yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** What was written is on its way until the returned function is called for the first time. */
  sent(bytes: number): () => void {
    let left = bytes;
    this.#bytesOnTheWay += bytes;
    return () => {
      this.#bytesOnTheWay -= left;
      left = 0;
      this.#schedule();
    };
  }

  leave(taker: TurnTaker): void {
    this.#line.delete(taker);
  }

  get #isFull(): boolean {
    return this.#bytesOnTheWay >= this.mostOnTheWay;
  }

  get #hasWork(): boolean {
    return this.#requests.size > 0 || (this.#line.size > 0 && !this.#isFull);
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#hasWork) return;
    this.#isScheduled = true;
    setImmediate(() => this.#round());
  }

  #round(): void {
    const end = performance.now() + ROUND_MILLIS;
    if (this.#arePushesDue) this.#arePushesDue = false;
    else this.#arePushesDue = !this.#takeRequests(end);
    if (!this.#arePushesDue) this.#servePushes(end);
    this.#isScheduled = false;
    this.#schedule();
    this.onRound();
  }

  /** Whether there is time left. */
  #takeRequests(end: number): boolean {
    for (const request of this.#requests) {
      this.#requests.delete(request);
      this.#waitingBytes -= request.bytes;
      request.take();
      if (performance.now() >= end) return false;
    }
    return true;
  }

  #servePushes(end: number): void {
    let bytes = 0;
    let turns = Math.min(this.#line.size, this.turnsPerRound);
    for (const taker of this.#line) {
      if (turns-- === 0 || bytes >= this.bytesPerRound || this.#isFull) return;
      this.#line.delete(taker);
      bytes += taker.takeTurn();
      if (performance.now() >= end) return;
    }
  }
}
