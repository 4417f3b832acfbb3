// The control plane as a process of its own, for tests that kill it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { packagePath } from "../../controlplane/agent/package-root.js";
import type { Scope } from "./scope.js";

export interface ServeProcess {
  readonly pid: number;
  readonly ads: string;
  readonly admin: string;
  /** With --webhook alone. */
  readonly webhook?: string;
  /** With --status alone. */
  readonly status?: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Runs `headgate serve` and resolves when it serves; rejects with what it said when it ends instead. */
export async function startServe(scope: Scope, args: readonly string[]): Promise<ServeProcess> {
  const child = spawn(process.execPath, [packagePath("bin", "headgate.mjs"), "serve", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: string[] = [];
  child.stderr.on("data", (chunk) => said.push(String(chunk)));
  const ended = once(child, "exit");
  const kill = async () => {
    if (isRunning(child)) child.kill("SIGKILL");
    await ended;
  };
  scope.use({ close: kill });
  const line = once(createInterface(child.stdout), "line");
  const first = await Promise.race([line, ended.then(() => undefined)]);
  if (!first) throw new Error(`headgate serve ended: ${said.join("")}`);
  return { ...JSON.parse(String(first[0])), pid: child.pid, kill };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
