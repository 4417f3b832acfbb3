// The time, as an argument: the ADS server's only source of it, so that tests can turn its hands.

export interface Clock {
  /** Whole milliseconds since the epoch that never go back while the process lives. */
  now(): number;
  /** Calls back once after so many milliseconds, unless the returned function is called before. */
  after(millis: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  after(millis, callback) {
    const timer = setTimeout(callback, millis);
    return () => clearTimeout(timer);
  },
};
