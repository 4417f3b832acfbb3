// Decides when a source looks for changes: soon after an event, but not while events still come in, and never twice at
// the same time.

/** Events that never cease put a pass off for at most this many quiet times. */
const MOST_QUIETS = 10;

export class PassSchedule {
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Number.POSITIVE_INFINITY;
  private firstEventAt: number | undefined;
  private running: Promise<void> | undefined;
  private closed = false;

  /** `run` must not reject. */
  constructor(
    private readonly run: () => Promise<void>,
    private readonly quietMs: number,
  ) {}

  /** An event came in: a pass runs when no other has for the quiet time. */
  event(): void {
    const now = performance.now();
    this.firstEventAt ??= now;
    this.setTimer(Math.min(now + this.quietMs, this.firstEventAt + this.quietMs * MOST_QUIETS));
  }

  /** A pass must run in this time at the latest. */
  within(ms: number): void {
    const at = performance.now() + ms;
    if (at < this.dueAt) this.setTimer(at);
  }

  /** Resolves when no pass runs, and none will. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private setTimer(at: number): void {
    if (this.closed) return;
    clearTimeout(this.timer);
    this.dueAt = at;
    this.timer = setTimeout(() => this.fire(), Math.max(0, at - performance.now()));
  }

  private fire(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    this.firstEventAt = undefined;
    if (this.running !== undefined) {
      this.within(this.quietMs);
      return;
    }
    this.running = this.run().finally(() => {
      this.running = undefined;
    });
  }
}
