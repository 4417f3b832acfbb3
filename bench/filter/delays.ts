// How well delays are met while a thousand requests are paused. Envoy itself tells when each came and when it went on,
// so a client that is behind with its answers does not count.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { ruledHost, staticFilter } from "../../test/filter/traffic-envoy.js";
import { quantile } from "../ads/statistics.js";
import { startEnvoyUnderTest } from "./envoy-under-test.js";

const DELAY_MILLIS = 2_000;
const REQUESTS = 1_000;
/** Between one request and the next: answering a thousand at one moment would keep a worker busy for long. */
const SPACING_MILLIS = 1;
/** From the first byte of a request to the first byte of its answer, by Envoy's clock. */
const TIME = "%COMMON_DURATION(DS_RX_BEG:DS_TX_BEG:us)%\n";

export interface Delays {
  readonly requests: number;
  readonly delayMillis: number;
  /** The most that were paused at once. */
  readonly paused: number;
  /** How much later than the delay requests went on, in milliseconds. */
  readonly lateMillis: { readonly p50: number; readonly p99: number };
  /** How long the same requests take without a delay: what is no matter of the delay. */
  readonly plainMillis: { readonly p50: number; readonly p99: number };
}

export async function measureDelays(): Promise<Delays> {
  const delay = { delay: { millis: DELAY_MILLIS, percentage: 100 } };
  const plain: PolicyRule = { matches: [], destinations: [{ route: "plain", weight: 1 }] };
  const delayed = await timesInside([{ ...plain, fault: delay }]);
  const undelayed = await timesInside([plain]);
  const late = delayed.times.map((time) => time - DELAY_MILLIS);
  return {
    requests: REQUESTS,
    delayMillis: DELAY_MILLIS,
    paused: delayed.paused,
    lateMillis: { p50: quantile(late, 0.5), p99: quantile(late, 0.99) },
    plainMillis: { p50: quantile(undelayed.times, 0.5), p99: quantile(undelayed.times, 0.99) },
  };
}

/** Of the second of two rounds of requests, whose connections are open already: milliseconds that each spent in Envoy. */
async function timesInside(rules: readonly PolicyRule[]): Promise<{ times: number[]; paused: number }> {
  const directory = await mkdtemp(join(tmpdir(), "headgate-bench-"));
  const path = join(directory, "times");
  const envoy = await startEnvoyUnderTest(ruledHost("host", ["*"], rules), [staticFilter()], {
    accessLog: { path, format: TIME },
  });
  try {
    // Envoy writes what is left of its log when it ends.
    const paused = await sendTwice(envoy.url).finally(() => envoy.stop());
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    if (lines.length !== 2 * REQUESTS) throw new Error(`${lines.length} of ${2 * REQUESTS} requests were logged`);
    return { times: lines.slice(REQUESTS).map((micros) => Number(micros) / 1e3), paused };
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function sendTwice(url: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS });
  await sendAll(url, agent);
  return sendAll(url, agent).finally(() => agent.destroy());
}

/** Sends the requests one after the other, and gives how many were sent before the first answer. */
async function sendAll(url: string, agent: Agent): Promise<number> {
  let sent = 0;
  let before = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      get(url, { agent }, (response) => {
        before ||= sent;
        response.resume();
        response.on("end", resolve);
      })
        .on("finish", () => sent++)
        .on("error", reject);
    });
  const answers: Promise<void>[] = [];
  const start = performance.now();
  for (let i = 0; i < REQUESTS; i++) {
    answers.push(one());
    await setTimeout(Math.max(0, start + (i + 1) * SPACING_MILLIS - performance.now()));
  }
  await Promise.all(answers);
  return before;
}
