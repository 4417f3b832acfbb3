// A child process that cannot outlive this one, whatever ends this one: Envoy, and what the demo runs.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/**
 * The shell becomes the program by exec, so its pid and exit status are the program's. Before that it leaves a watcher behind, which
 * reads from descriptor 3, whose other end the parent holds. When the parent is gone the kernel closes that end: the watcher
 * deletes the leftovers and kills the process group, which holds the program and itself only. A line means that the program
 * has ended under the parent's eyes.
 */
const WATCHED_EXEC =
  'n=$1; shift; (read -r _ <&3 || while [ "$n" -gt 0 ]; do rm -rf -- "$1"; shift; n=$((n-1)); done; kill -KILL 0) ' +
  '</dev/null >/dev/null 2>&1 & shift "$n"; exec "$@" 3<&-';

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
 * then ends its children in good order. Leftovers are paths that are deleted, with what is in them, should this process
 * end before the program. Rejects when the program's shell cannot be started; a missing program exits with 127.
 */
export async function spawnTied(
  binary: string,
  args: readonly string[],
  leftovers: readonly string[] = [],
): Promise<TiedChild> {
  const words = [String(leftovers.length), ...leftovers, binary, ...args];
  const child = spawn("/bin/sh", ["-c", WATCHED_EXEC, "sh", ...words], {
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
      const watcher = child.stdio[3] as Writable | undefined;
      watcher?.on("error", () => {}).end("\n");
      resolve({ code, signal });
    });
    child.once("error", () => resolve({ code: 127, signal: null }));
  });
}
