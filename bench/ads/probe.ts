// Loaded into the control plane's process before anything else: answers questions of the benchmark about that process.
import { openSync, readSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** Since the last reading. Milliseconds and bytes. */
export interface Reading {
  /** User and system time of all threads. */
  readonly cpuMillis: number;
  /** The longest time that the event loop was held. */
  readonly longestHoldMillis: number;
  /** The longest time of a processor that the main thread took between two looks of the event loop: waiting for one is left out. */
  readonly longestWorkMillis: number;
  readonly rss: number;
  readonly heap: number;
  /** Since the process began. */
  readonly peakRss: number;
}

/** What the benchmark asks: a reading, one after garbage was collected, or to profile until the next time it says so. */
export type Question = "read" | "collect" | { readonly profile: string | undefined };

const RESOLUTION_MILLIS = 1;
const SAMPLING_MICROS = 500;

if (isMainThread && process.send) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
  delays.enable();
  const work = longestWork();
  let cpu = process.cpuUsage();
  const read = (): Reading => {
    const used = process.cpuUsage(cpu);
    cpu = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    const longestHoldMillis = Math.max(0, delays.max / 1e6 - RESOLUTION_MILLIS);
    delays.reset();
    return {
      cpuMillis: (used.user + used.system) / 1000,
      longestHoldMillis,
      longestWorkMillis: work(),
      rss,
      heap: heapUsed,
      peakRss: process.resourceUsage().maxRSS * 1024,
    };
  };
  process.on("message", (question: Question) => {
    if (question === "collect") (globalThis as { gc?: () => void }).gc?.();
    if (typeof question === "object") profile(question.profile);
    process.send?.(read());
  });
  process.channel?.unref();
}

/** Gives the longest since it was asked last, as the kernel counts it; on other systems than Linux NaN. */
function longestWork(): () => number {
  if (process.platform !== "linux") return () => Number.NaN;
  const file = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const text = Buffer.alloc(128);
  // Its first number is the time that the thread ran, in nanoseconds.
  const ran = () => Number.parseInt(text.toString("latin1", 0, readSync(file, text, 0, text.length, 0)), 10) / 1e6;
  let [before, longest] = [ran(), 0];
  setInterval(() => {
    const now = ran();
    longest = Math.max(longest, now - before);
    before = now;
  }, RESOLUTION_MILLIS).unref();
  return () => {
    const most = longest;
    longest = 0;
    return most;
  };
}

let session: Session | undefined;
let writing: string | undefined;

/** Ends the profile under way and writes it; starts another if there is a file for it. */
function profile(file: string | undefined): void {
  session ??= new Session();
  if (writing === undefined) {
    session.connect();
    session.post("Profiler.enable");
    session.post("Profiler.setSamplingInterval", { interval: SAMPLING_MICROS });
  } else {
    const path = writing;
    session.post("Profiler.stop", (error, result) => {
      if (!error) writeFileSync(path, JSON.stringify(result.profile));
    });
  }
  writing = file;
  if (file !== undefined) session.post("Profiler.start");
}
