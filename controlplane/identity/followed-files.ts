// Files that are replaced while the process runs, such as certificates: read again when they change.
import { stat } from "node:fs/promises";

export type Read<T> = { readonly value: T } | { readonly error: string };

export interface FollowOptions<T> {
  /** Reads the files and checks them. What it rejects with is taken for an error. */
  readonly read: () => Promise<Read<T>>;
  readonly onValue: (value: T) => void;
  /** Told once for each error that differs from the last one; the last good value stays in force. */
  readonly onError: (error: string) => void;
  /** Milliseconds between looks; by default 1,000. */
  readonly pollMs?: number;
}

export interface Followed<T> {
  /** What was last read without fault. */
  readonly current: T;
  close(): void;
}

/**
 * Reads once, and gives that or the error; from then on looks regularly, which sees what is written over, renamed over,
 * and swapped behind a symbolic link as Kubernetes does. A read that failed is tried again until it succeeds, since a
 * certificate and its key never change at the same moment.
 */
export async function followFiles<T>(paths: readonly string[], options: FollowOptions<T>): Promise<Read<Followed<T>>> {
  let seen = await fingerprint(paths);
  const first = await attempt(options.read);
  if ("error" in first) return first;
  let current = first.value;
  let lastError = "";
  let closed = false;

  async function look(): Promise<void> {
    const now = await fingerprint(paths);
    if (now === seen && lastError === "") return;
    seen = now;
    const next = await attempt(options.read);
    if (closed) return;
    if ("value" in next) {
      current = next.value;
      lastError = "";
      options.onValue(current);
    } else if (next.error !== lastError) {
      lastError = next.error;
      options.onError(next.error);
    }
  }

  function plan(): NodeJS.Timeout {
    return setTimeout(async () => {
      await look();
      if (!closed) timer = plan();
    }, options.pollMs ?? 1_000).unref();
  }
  let timer = plan();
  return {
    value: {
      get current() {
        return current;
      },
      close() {
        closed = true;
        clearTimeout(timer);
      },
    },
  };
}

async function attempt<T>(read: () => Promise<Read<T>>): Promise<Read<T>> {
  try {
    return await read();
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** Differs when a file was replaced or written to, or came or went. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const parts = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
      return `${dev}:${ino}:${size}:${mtimeNs}`;
    } catch {
      return "absent";
    }
  });
  return (await Promise.all(parts)).join(" ");
}
