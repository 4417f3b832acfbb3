// The nonce rule of one type on one stream: which responses were sent, acknowledged, rejected or never answered. No I/O.

export interface Rejection {
  /** The client's own words, cut at 4,096 characters. */
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The version of the response that was rejected. */
  readonly version: string;
  /** The resources at fault: those the message names, or the only one there was; empty when that is unknown. */
  readonly names: readonly string[];
}

/** What a response carried, kept until it is answered. */
export interface Unanswered {
  readonly version: string;
  /** Names that it sent or removed. */
  readonly names: readonly string[];
}

/** So many answers are awaited at once at most; the oldest is given up for a new one. */
const MAX_UNANSWERED = 8;
const MAX_MESSAGE = 4096;

export class Answers {
  /** Of the last response; empty before the first. */
  nonce = "";
  sentVersion = "";
  acknowledgedVersion = "";
  rejections = 0;
  rejection: Rejection | undefined;
  readonly #unanswered = new Map<string, Unanswered>();
  #suspects: ReadonlySet<string> = new Set();
  #waitUntil = 0;
  #mute = false;

  /** The names that may have caused the rejection: those at fault, or all of the response if that is unknown. */
  get suspects(): readonly string[] {
    return [...this.#suspects];
  }

  isSuspect(name: string): boolean {
    return this.#suspects.has(name);
  }

  /** Whether a response that is not answered yet has the resource. */
  isUnanswered(name: string): boolean {
    return [...this.#unanswered.values()].some(({ names }) => names.includes(name));
  }

  get outstanding(): boolean {
    return this.#unanswered.size > 0;
  }

  get full(): boolean {
    return this.#unanswered.size >= MAX_UNANSWERED;
  }

  /** Until when others wait for the answer; undefined when nothing waits. In the clock's milliseconds. */
  get waitUntil(): number | undefined {
    return this.outstanding && !this.#mute ? this.#waitUntil : undefined;
  }

  /** A client that lets the time pass is not waited for again until it answers something. */
  isAwaited(now: number): boolean {
    if (!this.outstanding || this.#mute) return false;
    if (now >= this.#waitUntil) this.#mute = true;
    return !this.#mute;
  }

  sent(nonce: string, response: Unanswered, waitUntil: number): void {
    if (this.full) this.#unanswered.delete(this.#unanswered.keys().next().value as string);
    this.#unanswered.set(nonce, response);
    this.nonce = nonce;
    this.sentVersion = response.version;
    this.#waitUntil = waitUntil;
  }

  /** The response that the nonce answers, the first time that it does. Answers to those before it no longer come. */
  take(nonce: string): Unanswered | undefined {
    const response = this.#unanswered.get(nonce);
    if (response === undefined) return undefined;
    for (const sent of this.#unanswered.keys()) {
      this.#unanswered.delete(sent);
      if (sent === nonce) break;
    }
    this.#mute = false;
    return response;
  }

  /** An acknowledgement clears the error if it is for one of the resources that may have caused it. */
  acknowledge(response: Unanswered): void {
    this.acknowledgedVersion = response.version;
    if (this.#suspects.size === 0 || response.names.some((name) => this.#suspects.has(name))) this.#clear();
  }

  reject(response: Unanswered, text: string, at: number): Rejection {
    const message = text.slice(0, MAX_MESSAGE);
    const isOnly = response.names.length === 1;
    const named = isOnly ? response.names : response.names.filter((name) => mentions(message, name));
    this.#suspects = new Set(named.length > 0 ? named : response.names);
    this.rejections++;
    this.rejection = { message, at, version: response.version, names: named };
    return this.rejection;
  }

  /** The client no longer wants the name, so it can no longer be at fault. */
  forget(name: string): void {
    if (!this.#suspects.has(name)) return;
    this.#suspects = new Set([...this.#suspects].filter((suspect) => suspect !== name));
    if (this.#suspects.size === 0) this.#clear();
  }

  /** The content is another, but nothing of it concerns this client. */
  carryOver(before: string, after: string): void {
    if (this.outstanding || this.sentVersion !== before) return;
    if (this.acknowledgedVersion === before) this.acknowledgedVersion = after;
    this.sentVersion = after;
  }

  #clear(): void {
    this.#suspects = new Set();
    this.rejection = undefined;
  }
}

/** Whether the text has the name as a word of its own, not as a part of a longer name. */
function mentions(text: string, name: string): boolean {
  if (!text.includes(name)) return false;
  const escaped = name.replace(/[^\w]/g, "\\$&");
  return new RegExp(`(?<![\\w|/.-])${escaped}(?!\\.?[\\w|/-])`).test(text);
}
