// Repoints of a real Envoy between clusters, under a steady load.
import { repoint } from "../../test/faults/repointing.js";
import { createScope } from "../../test/harness/scope.js";
import { median, quantile } from "./statistics.js";

export interface RepointFigures {
  readonly repoints: number;
  readonly requests: number;
  readonly failed: number;
  readonly misrouted: number;
  /** From a file's write until the proxy's acknowledgement is seen at the admin. */
  readonly medianMillis: number;
  readonly p99Millis: number;
  /** The first ones, for whoever looks for the cause. */
  readonly examples: readonly string[];
}

export async function measureRepoints(repoints: number): Promise<RepointFigures> {
  const scope = createScope();
  try {
    const { requests, failed, misrouted, millis } = await repoint(scope, { repoints, requestsPerSecond: 1_000 });
    return {
      repoints,
      requests,
      failed: failed.length,
      misrouted: misrouted.length,
      medianMillis: median(millis),
      p99Millis: quantile(millis, 0.99),
      examples: [...failed, ...misrouted].slice(0, 20),
    };
  } finally {
    await scope.close();
  }
}
