// Keeps an Envoy to what it should be started with, which changes: another one takes over, again and again if need be.
import { setTimeout as sleep } from "node:timers/promises";
import type { EnvoyProcess } from "./envoy-process.js";
import type { Launch } from "./launch.js";

export interface SuccessionOptions {
  readonly envoy: Pick<EnvoyProcess, "replace">;
  /** What it was started with. */
  readonly launch: Launch;
  readonly onTakeover: () => void;
  /** What stands in the way; told again only when it is something else. */
  readonly onFailure: (reason: string) => void;
  /** Milliseconds between attempts; 5,000 by default. */
  readonly retryMs?: number;
}

export interface Succession {
  /** From now on Envoy should be one that is started so; the newest call counts. */
  want(launch: Launch): void;
  close(): void;
}

export function createSuccession(options: SuccessionOptions): Succession {
  const { envoy, onTakeover, onFailure, retryMs = 5_000 } = options;
  const closed = new AbortController();
  let wanted = options.launch;
  let inForce = JSON.stringify(wanted);
  let changed = new AbortController();
  let lastFailure: string | undefined;
  let busy = false;

  async function keepUp(): Promise<void> {
    while (!closed.signal.aborted && JSON.stringify(wanted) !== inForce) {
      const launch = wanted;
      changed = new AbortController();
      const failure = await envoy.replace(launch);
      if (closed.signal.aborted) return;
      if (failure === undefined) {
        inForce = JSON.stringify(launch);
        onTakeover();
      } else {
        if (failure !== lastFailure) onFailure(failure);
        const signal = AbortSignal.any([closed.signal, changed.signal]);
        await sleep(retryMs, undefined, { signal }).catch(() => {});
      }
      lastFailure = failure;
    }
  }

  return {
    want(launch) {
      wanted = launch;
      lastFailure = undefined;
      changed.abort();
      if (busy) return;
      busy = true;
      void keepUp().finally(() => {
        busy = false;
      });
    },
    close: () => closed.abort(),
  };
}
