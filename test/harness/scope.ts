// Owns what a test starts, and takes all of it down again, last started first.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

export interface Scope {
  /** Hands the thing through and closes it with the scope. */
  use<T extends { close(): Promise<unknown> | unknown }>(thing: T): T;
  /** A fresh directory that is deleted with the scope. */
  directory(): Promise<string>;
  /** Closes everything, even if one of them fails; then rejects with the first failure. */
  close(): Promise<void>;
}

export function createScope(): Scope {
  const open: { close(): Promise<unknown> | unknown }[] = [];
  return {
    use(thing) {
      open.push(thing);
      return thing;
    },
    async directory() {
      const path = await mkdtemp(join(tmpdir(), "headgate-test-"));
      // What a killed process started may go a moment later, and write until then.
      open.push({ close: () => rm(path, { recursive: true, force: true, maxRetries: 10 }) });
      return path;
    },
    async close() {
      const failures: unknown[] = [];
      for (let thing = open.pop(); thing; thing = open.pop()) {
        try {
          await thing.close();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** A scope that closes after the last test of the file or describe block that calls this. */
export function testScope(): Scope {
  const scope = createScope();
  afterAll(() => scope.close());
  return scope;
}
