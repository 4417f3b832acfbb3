// Requests at a steady rate from a thread of their own, and what became of them.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Scope } from "../harness/scope.js";

export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  /** A whole HTTP/1.1 request. */
  readonly request: string;
  /** The body of the right answer. */
  readonly backend: string;
}

export type LoadCommand = { readonly kind: "start"; readonly rate: number } | { readonly kind: "stop" };

export interface LoadReport {
  readonly requests: number;
  /** "right", or what was wrong. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** By request: when it ended, in milliseconds since the epoch, and how long it took from when it was due. */
  readonly ends: Float64Array;
  readonly latencies: Float64Array;
}

export interface SteadyLoad {
  /** Requests a second over all targets; 0 for as many as are answered. */
  start(rate: number): void;
  /** Resolves when what was under way has ended. */
  stop(): Promise<LoadReport>;
}

const THREAD = new URL("../../dist/test/swap/load-thread.js", import.meta.url);
const BACKENDS = new URL("../../dist/test/swap/backends-thread.js", import.meta.url);

/** connections: to each target. */
export function steadyLoad(scope: Scope, targets: readonly LoadTarget[], connections: number): SteadyLoad {
  const worker = new Worker(THREAD, { workerData: { targets, connections } });
  scope.use({ close: () => worker.terminate().then(() => {}) });
  const send = (command: LoadCommand) => worker.postMessage(command);
  return {
    start: (rate) => send({ kind: "start", rate }),
    async stop() {
      send({ kind: "stop" });
      const [report] = (await once(worker, "message")) as [LoadReport];
      return report;
    },
  };
}

/** Backends that answer with their names, in a thread of their own: their ports by name. */
export async function quickBackends(
  scope: Scope,
  names: readonly string[],
): Promise<Record<string, { readonly port: number }>> {
  const worker = new Worker(BACKENDS, { workerData: names });
  scope.use({ close: () => worker.terminate().then(() => {}) });
  const [ports] = (await once(worker, "message")) as [Record<string, { readonly port: number }>];
  return ports;
}

/** The p-th percentile of requests that ended in [from, to), milliseconds since the epoch; NaN without any. */
export function percentileBetween({ ends, latencies }: LoadReport, p: number, from: number, to: number): number {
  const within = latencies.filter((_, i) => (ends[i] ?? 0) >= from && (ends[i] ?? 0) < to).sort();
  return within[Math.min(within.length - 1, Math.floor((p / 100) * within.length))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
