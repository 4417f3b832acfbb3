// Waiting for something to become true, in place of sleeping for a guessed time.
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks again and again until probe gives something other than undefined, null or false, and resolves with that. Rejects
 * with what was waited for, and the last error, when the time is up; timeoutMs only bounds a failing test.
 */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  while (Date.now() < deadline) {
    try {
      const found = await probe();
      if (found !== undefined && found !== null && found !== false) return found;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await sleep(20);
  }
  throw new Error(`waited ${timeoutMs} ms in vain: ${what}`, { cause: lastError });
}
