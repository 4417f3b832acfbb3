// CPU time per request of one Envoy worker, contestant against contestant, in interleaved runs.
import { median } from "../ads/statistics.js";
import {
  type Contestant,
  type Ending,
  headgate,
  lastRequest,
  luaRules,
  nativeRoutes,
  withoutRules,
} from "./contestants.js";
import { type Backend, type EnvoyUnderTest, load, startEnvoyUnderTest } from "./envoy-under-test.js";

export const SIZES = [10, 100, 200, 1_000, 10_000];
const CONNECTIONS = 16;

export interface Cost {
  readonly name: Contestant["name"];
  readonly rules: number;
  readonly ending: Ending;
  /** Microseconds of user and system time a request: the median of the runs, and each of them. */
  readonly cpuMicros: number;
  readonly runs: readonly number[];
}

export interface CostOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizes: readonly number[];
  readonly say: (line: string) => void;
}

/** Every contestant once a round, each in an Envoy of its own, which idles while it is not its turn. */
export async function measureCosts(ending: Ending, options: CostOptions, backend?: Backend): Promise<Cost[]> {
  const [smallest = 10] = options.sizes;
  const contestants = [
    withoutRules(ending),
    luaRules(smallest, ending),
    ...options.sizes.flatMap((rules) => [nativeRoutes(rules, ending), headgate(rules, ending)]),
  ];
  const running: { contestant: Contestant; envoy: EnvoyUnderTest; runs: number[] }[] = [];
  try {
    for (const contestant of contestants) {
      const envoy = await startEnvoyUnderTest(contestant.virtualHost, contestant.filters, { backend });
      running.push({ contestant, envoy, runs: [] });
      await request(contestant, envoy, 1);
    }
    for (let round = 0; round < options.rounds; round++) {
      options.say(`round ${round + 1} of ${options.rounds} (${ending})`);
      for (const { contestant, envoy, runs } of running) {
        const before = envoy.cpuMicros();
        const requests = await request(contestant, envoy, options.seconds);
        runs.push((envoy.cpuMicros() - before) / requests);
      }
    }
  } finally {
    await Promise.all(running.map(({ envoy }) => envoy.stop()));
  }
  return running.map(({ contestant: { name, rules }, runs }) => ({
    name,
    rules,
    ending,
    cpuMicros: median(runs),
    runs,
  }));
}

async function request({ rules }: Contestant, envoy: EnvoyUnderTest, seconds: number): Promise<number> {
  const { user, path } = lastRequest(rules || 10);
  const headers = { "x-user": user };
  return (await load(envoy.url, { path, headers, connections: CONNECTIONS, seconds })).requests;
}
