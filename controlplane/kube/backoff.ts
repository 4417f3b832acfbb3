// How long to wait before something that failed is tried again: longer each time, and never all at the same moment.
import { KubeFault } from "./object.js";

export interface BackoffOptions {
  /** Milliseconds. */
  readonly first?: number;
  readonly most?: number;
  /** From 0 up to 1; Math.random by default. */
  readonly random?: () => number;
}

export class Backoff {
  private failures = 0;

  constructor(private readonly options: BackoffOptions = {}) {}

  /** Milliseconds to wait now: between half and all of a bound that doubles; at least what the server asks for. */
  next(error?: unknown): number {
    const { first = 100, most = 5_000, random = Math.random } = this.options;
    const bound = Math.min(most, first * 2 ** Math.min(this.failures++, 30));
    const asked = error instanceof KubeFault ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(asked, bound / 2 + (random() * bound) / 2);
  }

  /** What was tried went well. */
  reset(): void {
    this.failures = 0;
  }
}
