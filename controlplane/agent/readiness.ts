// When an Envoy may be given traffic: it is live, and what the control plane sent first is in force.
import { type AdminAddress, askAdmin, readStats } from "./envoy-admin.js";

/** What has to be acknowledged before an Envoy counts as ready: read off its bootstrap. */
export interface Expectation {
  readonly listenersFromAds: boolean;
  readonly clustersFromAds: boolean;
}

export function expectationOf(bootstrap: object): Expectation {
  const dynamic = (bootstrap as { dynamic_resources?: { lds_config?: unknown; cds_config?: unknown } })
    .dynamic_resources;
  return { listenersFromAds: dynamic?.lds_config !== undefined, clustersFromAds: dynamic?.cds_config !== undefined };
}

const STATS = "^(listener_manager\\.(lds\\.update_success|workers_started)|cluster_manager\\.cds\\.update_success)$";

/** Undefined when the Envoy is ready, else what it still waits for, in words for a person. Rejects if unreachable. */
export async function missingForReadiness(
  address: AdminAddress,
  expectation: Expectation,
): Promise<string | undefined> {
  const live = await askAdmin(address, "GET", "/ready");
  if (live.status !== 200) return `Envoy is ${live.body.trim() || "not live"}`;
  const stats = await readStats(address, STATS);
  const count = (name: string) => stats.get(name) ?? 0;
  if (expectation.clustersFromAds && count("cluster_manager.cds.update_success") === 0)
    return "no clusters have come from the control plane";
  if (expectation.listenersFromAds && count("listener_manager.lds.update_success") === 0)
    return "no listeners have come from the control plane";
  if (count("listener_manager.workers_started") === 0) return "its workers have not started";
  return undefined;
}
