// Runs the headgate command as people do, and knows every process that came of it.
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import type { Scope } from "./scope.js";
import { eventually } from "./waiting.js";

export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything printed so far. */
  stdout(): string;
  stderr(): string;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Runs the Headgate of the given folder, by default that of the tests. */
export function runHeadgate(scope: Scope, args: readonly string[], folder = "."): Running {
  const child = spawn(process.execPath, ["bin/headgate.mjs", ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return followed(scope, child);
}

/** Collects what a process prints, and kills it with the scope, which closes once it is gone. */
export function followed(scope: Scope, child: ChildProcessByStdio<null, Readable, Readable>): Running {
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const exited = once(child, "close").then(([code, signal]) => ({ code, signal }));
  const ended = once(child, "exit").catch(() => undefined);
  scope.use({
    async close() {
      child.kill("SIGKILL");
      await ended;
    },
  });
  return { child, pid: child.pid as number, stdout: () => out, stderr: () => err, exited };
}

/** Seven Envoys, eight services and the control plane start, on two cores that others use too. */
const DEMO_START_MS = 150_000;

/** Runs the demo in a directory, and resolves once its page can be opened. */
export async function startDemo(scope: Scope, directory: string): Promise<{ demo: Running; page: string }> {
  const demo = runHeadgate(scope, ["demo", "--directory", directory, "--admin", "127.0.0.1:0"]);
  const url = () => /Open\s+(http\S+)/.exec(demo.stdout())?.[1];
  const page = await eventually("the demo runs", url, DEMO_START_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${demo.stdout()}\n${demo.stderr()}`);
  });
  return { demo, page };
}

/** The processes that a process started, and those that they started; by Linux's /proc. */
export function descendants(pid: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = /\) \S (\d+)/.exec(stat(Number(entry)) ?? "")?.[1];
    if (parent) parents.set(Number(entry), Number(parent));
  }
  const children = (of: number): number[] =>
    [...parents].filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...children(child)]);
  return children(pid);
}

/** Whether a process still does something: one that has ended but was not waited for does not. */
export function isAlive(pid: number): boolean {
  const state = /\) (\S)/.exec(stat(pid) ?? "")?.[1];
  return state !== undefined && state !== "Z" && state !== "X";
}

export function allGone(pids: readonly number[]): Promise<unknown> {
  return eventually("every process is gone", () => !pids.some(isAlive));
}

function stat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
}
