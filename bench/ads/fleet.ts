// The benchmark's hold on a process with simulated proxies.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FleetOrder, FleetReport } from "./fleet-messages.js";

type ReportOf<R extends FleetReport["report"]> = Extract<FleetReport, { report: R }>;

export interface Fleet {
  readonly pid: number;
  order(order: FleetOrder): void;
  /** The next report of a kind; rejects when the process ends before, or when it takes longer than so many seconds. */
  next<R extends FleetReport["report"]>(report: R, seconds?: number): Promise<ReportOf<R>>;
  close(): Promise<void>;
}

const PROCESS = fileURLToPath(new URL("./fleet-process.js", import.meta.url));

export function startFleet(): Fleet {
  const child = fork(PROCESS, { execArgv: ["--max-old-space-size=8192"] });
  return {
    pid: child.pid as number,
    order: (order) => void child.send(order),
    next: (report, seconds = 300) => nextReport(child, report, seconds),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

function nextReport<R extends FleetReport["report"]>(
  child: ChildProcess,
  report: R,
  seconds: number,
): Promise<ReportOf<R>> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    const onMessage = (message: FleetReport) => {
      if (message.report !== report) return;
      done();
      resolve(message as ReportOf<R>);
    };
    const fail = (reason: string) => {
      done();
      reject(new Error(`the simulated proxies did not report "${report}": ${reason}`));
    };
    const onExit = () => fail("their process ended");
    const timer = setTimeout(() => fail(`${seconds} seconds passed`), seconds * 1000);
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
