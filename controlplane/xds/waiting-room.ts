// Where new streams wait until the server has time for them, in place of waiting at home by a back-off of their own.
import type { Clock } from "./clock.js";

/** A new stream. Nothing of it is read before it is asked in. */
export interface Visitor {
  /** Without a port. */
  readonly address: string;
  /** Its turn has come: it is to be read. */
  enter(): void;
  /** It is to wait no longer. */
  turnAway(reason: string): void;
}

/** Counts and milliseconds. */
export interface WaitingRoomOptions {
  /** For visitors who wait, and for those who were asked in and have said nothing yet. */
  readonly places: number;
  /** So many may be on their way in together: from being asked in until they are let in. */
  readonly entering: number;
  /** Who takes so long to come in no longer keeps the next from being asked in, nor its place from who comes after it. */
  readonly slowMillis: number;
  /** How long a visitor waits at most. */
  readonly waitMillis: number;
  /** While it is true nobody is asked in. */
  readonly isBusy: () => boolean;
  readonly clock: Clock;
}

/**
 * Addresses take turns, and of one address who came first is asked in first. When all places are taken, a newcomer gets
 * that of somebody who is slow to say something, or else that of the last who came from the address with the most.
 */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  /** By address, the next in turn first. */
  readonly #waiting = new Map<string, Set<Visitor>>();
  /** Who was asked in and said nothing yet, with the time of that; the earliest first. */
  readonly #silent = new Map<Visitor, number>();
  readonly #entering = new Set<Visitor>();
  /** Stops the clock of who waits, or is on its way in. */
  readonly #cancel = new Map<Visitor, () => void>();
  #taken = 0;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** How many wait to be asked in. */
  get waiting(): number {
    return this.#taken - this.#silent.size;
  }

  /** Takes a place until it is asked in and heard, or is turned away at once. */
  arrive(visitor: Visitor): void {
    if (this.#taken >= this.#options.places && !this.#makeRoom(visitor.address)) {
      visitor.turnAway("too many new streams at once");
      return;
    }
    this.#waiting.set(visitor.address, this.#from(visitor.address).add(visitor));
    this.#taken++;
    this.#after(this.#options.waitMillis, visitor, () =>
      this.#turnAway(visitor, "there was no time for a new stream for too long"),
    );
    this.askIn();
  }

  /** It has said something: its place is free. */
  heard(visitor: Visitor): void {
    this.#freePlace(visitor);
  }

  /** It was let in, or it went. Who is not known here is left alone. */
  leave(visitor: Visitor): void {
    this.#freePlace(visitor);
    this.#stopCounting(visitor);
    this.askIn();
  }

  /** Asks in as many as there is time for. To be called whenever the server has become less busy. */
  askIn(): void {
    const { entering, slowMillis, clock, isBusy } = this.#options;
    while (this.#entering.size < entering && !isBusy()) {
      const visitor = this.#next();
      if (visitor === undefined) return;
      this.#silent.set(visitor, clock.now());
      this.#entering.add(visitor);
      this.#after(slowMillis, visitor, () => {
        this.#stopCounting(visitor);
        this.askIn();
      });
      visitor.enter();
    }
  }

  /** Takes who is next out of those who wait. */
  #next(): Visitor | undefined {
    const [turn] = this.#waiting;
    if (turn === undefined) return undefined;
    const [address, visitors] = turn;
    const [visitor] = visitors;
    this.#waiting.delete(address);
    if (visitor !== undefined) visitors.delete(visitor);
    if (visitors.size > 0) this.#waiting.set(address, visitors);
    return visitor;
  }

  /** Whether there is a place for one from this address. */
  #makeRoom(address: string): boolean {
    const leaving = this.#slowest() ?? this.#lastOfMost(this.#from(address).size + 1);
    if (leaving === undefined) return false;
    this.#turnAway(leaving, "too many new streams at once");
    return true;
  }

  #slowest(): Visitor | undefined {
    const { slowMillis, clock } = this.#options;
    const [earliest] = this.#silent;
    return earliest !== undefined && earliest[1] + slowMillis <= clock.now() ? earliest[0] : undefined;
  }

  /** The last who came from the address with the most waiting, if those are more than so many. */
  #lastOfMost(least: number): Visitor | undefined {
    let most: ReadonlySet<Visitor> | undefined;
    for (const visitors of this.#waiting.values()) if (visitors.size > (most?.size ?? least)) most = visitors;
    return most && [...most].at(-1);
  }

  #from(address: string): Set<Visitor> {
    return this.#waiting.get(address) ?? new Set();
  }

  #turnAway(visitor: Visitor, reason: string): void {
    this.#freePlace(visitor);
    this.#stopCounting(visitor);
    visitor.turnAway(reason);
  }

  #freePlace(visitor: Visitor): void {
    const visitors = this.#from(visitor.address);
    if (!visitors.delete(visitor) && !this.#silent.delete(visitor)) return;
    if (visitors.size === 0) this.#waiting.delete(visitor.address);
    this.#taken--;
  }

  #stopCounting(visitor: Visitor): void {
    this.#entering.delete(visitor);
    this.#cancel.get(visitor)?.();
    this.#cancel.delete(visitor);
  }

  #after(millis: number, visitor: Visitor, callback: () => void): void {
    this.#cancel.get(visitor)?.();
    this.#cancel.set(visitor, this.#options.clock.after(millis, callback));
  }
}
