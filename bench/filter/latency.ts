// Latency at about half of what a worker can do: one connection, whose next request waits for the answer before, keeps
// the worker busy about half of the time. Native routing and the filter take turns.
import { median } from "../ads/statistics.js";
import { type Contestant, headgate, lastRequest, nativeRoutes } from "./contestants.js";
import { type EnvoyUnderTest, load, startEnvoyUnderTest } from "./envoy-under-test.js";

const RULES = 10;

export interface Latency {
  readonly name: Contestant["name"];
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** The part of the time that the worker was busy. */
  readonly busy: number;
}

export async function measureLatency(rounds: number, seconds: number): Promise<Latency[]> {
  const contestants = [nativeRoutes(RULES, "direct"), headgate(RULES, "direct")];
  const running: { contestant: Contestant; envoy: EnvoyUnderTest; p50: number[]; p99: number[]; busy: number[] }[] = [];
  const { user, path } = lastRequest(RULES);
  const one = (envoy: EnvoyUnderTest) =>
    load(envoy.url, { path, headers: { "x-user": user }, connections: 1, seconds });
  try {
    for (const contestant of contestants) {
      const envoy = await startEnvoyUnderTest(contestant.virtualHost, contestant.filters);
      running.push({ contestant, envoy, p50: [], p99: [], busy: [] });
      await one(envoy);
    }
    for (let round = 0; round < rounds; round++) {
      for (const { envoy, p50, p99, busy } of running) {
        const before = envoy.cpuMicros();
        const { p50Micros, p99Micros } = await one(envoy);
        p50.push(p50Micros);
        p99.push(p99Micros);
        busy.push((envoy.cpuMicros() - before) / (seconds * 1e6));
      }
    }
  } finally {
    await Promise.all(running.map(({ envoy }) => envoy.stop()));
  }
  return running.map(({ contestant: { name }, p50, p99, busy }) => ({
    name,
    p50Micros: median(p50),
    p99Micros: median(p99),
    busy: median(busy),
  }));
}
