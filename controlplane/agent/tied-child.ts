// A child process that cannot outlive this one, whatever ends this one: Envoy, and what the demo runs.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";

/**
 * The shell becomes the program by exec, so its pid and exit status are the program's. Before that it leaves a watcher behind, which
 * waits for the end of file on descriptor 3: the parent holds the pipe's other end and never writes. When the parent is
 * gone the kernel closes that end, and the watcher kills the process group, which holds the program and itself only.
 */
const WATCHED_EXEC = '(read -r _ <&3; kill -KILL 0) </dev/null >/dev/null 2>&1 & exec "$@" 3<&-';

/** How a process ended: by exit code, or by a signal. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TiedChild {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ChildExit>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a program under the watcher, in a process group of its own: a terminal's Ctrl-C reaches the parent alone, which
 * then ends its children in good order. Rejects when the program's shell cannot be started; a missing program exits with 127.
 */
export async function spawnTied(binary: string, args: readonly string[]): Promise<TiedChild> {
  const child = spawn("/bin/sh", ["-c", WATCHED_EXEC, "sh", binary, ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const exited = exitOf(child);
  await once(child, "spawn");
  const pid = child.pid as number;
  return {
    pid,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    exited,
    kill: (signal) => {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, signal);
    },
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      // Ends the watcher, which then has nobody but itself in its group.
      (child.stdio[3] as Readable | undefined)?.destroy();
      resolve({ code, signal });
    });
    child.once("error", () => resolve({ code: 127, signal: null }));
  });
}
