// Stops a test's process for moments, as a machine does that has little time for it: with HEADGATE_STALLS=MILLIS, by
// vitest.config.ts. What then fails waits for a guessed time, or counts before all has come.

/** About so long goes by between two stalls. */
const PAUSE_MILLIS = 500;
const most = Number(process.env.HEADGATE_STALLS);
const never = new Int32Array(new SharedArrayBuffer(4));

function stallLater(): void {
  const stall = () => {
    Atomics.wait(never, 0, 0, Math.random() * most);
    stallLater();
  };
  setTimeout(stall, Math.random() * 2 * PAUSE_MILLIS).unref();
}

stallLater();
