// Taking an Envoy out of service: new connections are turned away gently, running requests may end.
import { setTimeout as sleep } from "node:timers/promises";
import { type AdminAddress, askAdmin, readStats } from "./envoy-admin.js";

const POLL_MS = 100;
const ACTIVE =
  "^(http\\..*\\.downstream_(rq|cx)_active|listener\\..*\\.downstream_cx_active|server\\.parent_connections)$";

export interface DrainBounds {
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Until then, that nothing is in flight may not be known yet. */
  readonly notBefore?: number;
  readonly hurry?: AbortSignal;
}

/**
 * Tells Envoy to drain and resolves once nothing is in flight, at the latest at the deadline or when hurry aborts; never
 * rejects. A request in flight counts, and so does an open connection that is not HTTP, or of the Envoy before this one that
 * finishes its requests; an idle HTTP connection does not.
 */
export async function drain(address: AdminAddress, { deadline, notBefore = 0, hurry }: DrainBounds): Promise<void> {
  try {
    // Answers from now on carry "connection: close" (HTTP/2: GOAWAY).
    await askAdmin(address, "POST", "/healthcheck/fail");
    await askAdmin(address, "POST", "/drain_listeners?graceful&skip_exit");
    while (!hurry?.aborted && Date.now() < deadline) {
      const isIdle = inFlight(await readStats(address, ACTIVE)) === 0;
      if (isIdle && Date.now() >= notBefore) return;
      await sleep(Math.min(POLL_MS, Math.max(deadline - Date.now(), 1)));
    }
  } catch {
    // An Envoy that no longer answers has nothing left to drain.
  }
}

function inFlight(stats: ReadonlyMap<string, number>): number {
  let requests = 0;
  let httpConnections = 0;
  let connections = 0;
  for (const [name, value] of stats) {
    if (name.startsWith("http.admin.") || name.startsWith("listener.admin.") || name.includes(".worker_")) continue;
    if (name.startsWith("listener.")) connections += value;
    else if (name.endsWith(".downstream_rq_active") || name.startsWith("server.")) requests += value;
    else httpConnections += value;
  }
  return requests + Math.max(connections - httpConnections, 0);
}
