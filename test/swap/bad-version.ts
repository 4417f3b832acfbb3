// Gives a bad version to a mesh under load, and tells what came of it.
import { type Flaw, flawedFilter } from "../harness/filter-modules.js";
import { eventually } from "../harness/waiting.js";
import { allServe, loadOn, type Workload } from "./workload.js";

export interface BadVersion {
  readonly reason: string | undefined;
  /** The proxies that were given it. */
  readonly canaries: readonly string[];
  /** From the begin of the rollout until no proxy was to have it any more. */
  readonly offAfterMs: number;
  /** From there until every proxy answered as the rules say. */
  readonly servesAgainAfterMs: number;
  /** What requests to the other proxies gave; load on canaries ends with `stop`. */
  readonly others: readonly string[];
}

/** Resolves once every proxy serves again, under the load that met the flaw. */
export async function rollOutFlawed(workload: Workload, flaw: Flaw): Promise<BadVersion> {
  const version = flaw.replaceAll(" ", "-");
  await workload.push(version, await flawedFilter(flaw));
  const loads = workload.sidecars.map((proxy) => ({ id: proxy.id, load: loadOn(proxy, "anna") }));
  const plan = await workload.use(version, { steps: [0.3, 1], holdMillis: 60_000 });
  const canaries = new Set<string>();
  let began = 0;
  let reason: string | undefined;
  for (let over = false; !over; ) {
    const state = (await workload.rollout(plan))?.state;
    if (state && began === 0) began = Date.now();
    for (const { id, assigned } of await workload.proxies()) if (assigned === version) canaries.add(id);
    over = state?.phase === "rolled-back";
    reason = state?.reason;
  }
  const offAfterMs = Date.now() - began;
  await eventually("every proxy serves again", () => allServe(workload.sidecars).catch(() => false), 30_000);
  const servesAgainAfterMs = Date.now() - began;
  const others: string[] = [];
  for (const { id, load } of loads) {
    const { outcomes, broken } = await load.stop();
    if (!canaries.has(id)) others.push(...Object.keys(outcomes), ...broken);
  }
  return { reason, canaries: [...canaries], offAfterMs, servesAgainAfterMs, others: [...new Set(others)] };
}
