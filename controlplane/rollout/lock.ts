// One control plane a registry's directory: a lock that the kernel takes back however its holder ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A control plane that was just killed may still hold it for a moment. Milliseconds. */
const PATIENCE = 2_000;
const BETWEEN_TRIES = 100;

export interface DirectoryLock {
  release(): void;
}

/**
 * Undefined while another has it. Node knows no file locks, so flock(1) holds it, for as long as this process keeps a pipe
 * open; where there is no flock(1), nothing is locked. Rejects when the directory cannot be made.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock | undefined> {
  await mkdir(directory, { recursive: true });
  const until = performance.now() + PATIENCE;
  for (;;) {
    const lock = await tryLock(join(directory, "control-plane.lock"));
    if (lock || performance.now() > until) return lock;
    await sleep(BETWEEN_TRIES);
  }
}

async function tryLock(file: string): Promise<DirectoryLock | undefined> {
  // In a session of its own, so that a terminal's Ctrl-C does not end it before us.
  const holder = spawn("flock", ["-n", file, "sh", "-c", "echo held; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  const { stdin, stdout } = holder;
  stdin.on("error", () => {});
  const missing = once(holder, "error").then(() => "missing" as const);
  const held = once(stdout, "data").then(() => "held" as const);
  const ended = once(holder, "close").then(() => "ended" as const);
  for (const waiting of [missing, held, ended]) waiting.catch(() => {});
  const outcome = await Promise.race([missing, held, ended]);
  if (outcome === "ended") return undefined;
  if (outcome === "missing") return { release: () => {} };
  holder.unref();
  (stdin as unknown as { unref(): void }).unref();
  (stdout as unknown as { unref(): void }).unref();
  return { release: () => stdin.end() };
}
