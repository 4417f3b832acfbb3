// How well delays are met: a thousand requests paused at once, against the same thousand without a delay.
import { Agent, get } from "node:http";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { ruledHost, staticFilter } from "../../test/filter/traffic-envoy.js";
import { quantile } from "../ads/statistics.js";
import { startEnvoyUnderTest } from "./envoy-under-test.js";

const DELAY_MILLIS = 500;
const REQUESTS = 1_000;

export interface Delays {
  readonly requests: number;
  readonly delayMillis: number;
  /** How much later than the delay answers came, in milliseconds; the generator's own lateness is in it. */
  readonly lateMillis: { readonly p50: number; readonly p99: number };
  /** The same requests without a delay: how long they take by themselves. */
  readonly plainMillis: { readonly p50: number; readonly p99: number };
}

export async function measureDelays(): Promise<Delays> {
  const delay = { delay: { millis: DELAY_MILLIS, percentage: 100 } };
  const plain: PolicyRule = { matches: [], destinations: [{ route: "plain", weight: 1 }] };
  const delayed = await answerTimes([{ ...plain, fault: delay }]);
  const undelayed = await answerTimes([plain]);
  const late = delayed.map((time) => time - DELAY_MILLIS);
  return {
    requests: REQUESTS,
    delayMillis: DELAY_MILLIS,
    lateMillis: { p50: quantile(late, 0.5), p99: quantile(late, 0.99) },
    plainMillis: { p50: quantile(undelayed, 0.5), p99: quantile(undelayed, 0.99) },
  };
}

/** Connections are opened first, so that only the requests themselves are timed. */
async function answerTimes(rules: readonly PolicyRule[]): Promise<number[]> {
  const envoy = await startEnvoyUnderTest(ruledHost("host", ["*"], rules), [staticFilter()]);
  const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS });
  const all = () => Promise.all(Array.from({ length: REQUESTS }, () => answerTime(envoy.url, agent)));
  try {
    await all();
    return await all();
  } finally {
    agent.destroy();
    await envoy.stop();
  }
}

function answerTime(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    get(url, { agent }, (response) => {
      const took = performance.now() - start;
      response.resume();
      response.on("end", () => resolve(took));
    }).on("error", reject);
  });
}
