// One Envoy taking over from another by Envoy's hot restart: watched until it serves, or ended if it will not.
import { setTimeout as sleep } from "node:timers/promises";
import { type AdminAddress, readStats } from "./envoy-admin.js";
import type { EnvoyRun } from "./envoy-run.js";
import { expectationOf } from "./readiness.js";

const POLL_MS = 50;
const CONNECTED = "control_plane.connected_state";

export interface Takeover {
  /** In service; it serves on until the next one is ready, and finishes its requests after that. */
  readonly former: EnvoyRun;
  readonly next: EnvoyRun;
  readonly timeoutMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/**
 * Resolves with undefined once the next Envoy's workers have started, which is when the former's listeners close, and the
 * former is still there; else with the reason, in words for a person, and the next one has ended.
 */
export async function awaitTakeover({ former, next, timeoutMs, signal }: Takeover): Promise<string | undefined> {
  const deadline = Date.now() + timeoutMs;
  const failureOf = () => {
    if (signal.aborted) return "the proxy ends";
    if (former.exit) return "the Envoy in service ended";
    return next.exit && `it ended (${next.exit.signal ?? `exit code ${next.exit.code}`})`;
  };
  for (;;) {
    const isLive = (await next.phase()) === "live";
    let failure = failureOf();
    if (isLive && failure === undefined) return undefined;
    if (Date.now() > deadline) failure ??= `it had not started after ${timeoutMs} ms: ${await next.missing()}`;
    if (failure !== undefined) {
      next.kill("SIGKILL");
      await next.exited;
      return failure;
    }
    await sleep(POLL_MS);
  }
}

/** Why none could take over from it now: what takes over needs what only the control plane has. */
export async function findObstacle({ launch, admin }: EnvoyRun): Promise<string | undefined> {
  const { listenersFromAds, clustersFromAds } = expectationOf(launch.bootstrap);
  if (!listenersFromAds && !clustersFromAds) return undefined;
  return (await isConnected(admin)) ? undefined : "there is no connection with the control plane";
}

async function isConnected(admin: AdminAddress | undefined): Promise<boolean> {
  if (!admin) return false;
  const stats = await readStats(admin, `^${CONNECTED.replace(".", "\\.")}$`).catch(() => undefined);
  return (stats?.get(CONNECTED) ?? 0) > 0;
}
