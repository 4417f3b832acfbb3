// What a policy costs before its first request: the image's size, the time a worker takes to load it, and its memory;
// and what it costs over a million requests: nothing more.
import { readFileSync } from "node:fs";
import { compilePolicy } from "../../controlplane/policy/compile.js";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import { MODULE } from "../../test/filter/traffic-envoy.js";
import { median } from "../ads/statistics.js";
import { headgate, headgateRules, lastRequest } from "./contestants.js";
import { load, startEnvoyUnderTest } from "./envoy-under-test.js";

export interface Loading {
  readonly rules: number;
  readonly imageBytes: number;
  /** In the control plane. */
  readonly compileMillis: number;
  /** In a worker: the first request of a policy, less a later one. The module runs in Node's V8, Envoy's engine. */
  readonly loadMillis: number;
  /** Of the module's memory once the image is loaded. */
  readonly memoryBytes: number;
}

const WARM_UP = 20;

export function measureLoading(rules: number, rounds: number): Loading {
  const wasm = readFileSync(MODULE);
  const loads: number[] = [];
  const compiles: number[] = [];
  let imageBytes = 0;
  let memoryBytes = 0;
  for (let round = 0; round < rounds; round++) {
    const filter = new TrafficFilter(wasm);
    // The engine compiles hot code; a worker that has served for a while has it compiled.
    for (let i = 0; i < WARM_UP; i++) time(() => decide(filter, headgateRules(10 + i)));
    const policy = headgateRules(rules);
    compiles.push(time(() => compilePolicy(policy)));
    const { compiled } = compilePolicy(policy);
    if (!compiled) throw new Error("the benchmark's rules do not compile");
    imageBytes = compiled.image.byteLength;
    const headers = requestHeaders(rules);
    const ask = () => filter.decide(compiled, headers, { now: 0, random: 1n });
    const first = time(ask);
    loads.push(first - time(ask));
    memoryBytes = filter.memorySize;
  }
  return { rules, imageBytes, compileMillis: median(compiles), loadMillis: median(loads), memoryBytes };
}

function decide(filter: TrafficFilter, rules: readonly PolicyRule[]): void {
  const { compiled } = compilePolicy(rules);
  if (compiled) filter.decide(compiled, requestHeaders(rules.length), { now: 0, random: 1n });
}

function requestHeaders(rules: number): [string, string][] {
  const { user, path } = lastRequest(rules);
  return [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "host"],
    [":path", path],
    ["x-user", user],
  ];
}

function time(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

export interface Flatness {
  readonly requests: number;
  /** The module's memory in Node, before and after. */
  readonly moduleBytes: readonly [before: number, after: number];
  /** Envoy's resident memory, after a warm-up and at the end, and its requests. */
  readonly envoyBytes: readonly [before: number, after: number];
  readonly envoyRequests: number;
}

export async function measureFlatness(requests: number): Promise<Flatness> {
  const filter = new TrafficFilter(readFileSync(MODULE));
  const { compiled } = compilePolicy(headgateRules(100));
  if (!compiled) throw new Error("the benchmark's rules do not compile");
  const headers = requestHeaders(100);
  const ask = () => filter.decide(compiled, headers, { now: 0, random: 1n });
  ask();
  const before = filter.memorySize;
  for (let i = 0; i < requests; i++) ask();
  const contestant = headgate(100, "direct");
  const envoy = await startEnvoyUnderTest(contestant.virtualHost, contestant.filters);
  const { user, path } = lastRequest(100);
  const send = (seconds: number) =>
    load(envoy.url, { path, headers: { "x-user": user }, connections: 16, seconds }).then((result) => result.requests);
  try {
    await send(5);
    const settled = envoy.memoryBytes();
    let sent = 0;
    while (sent < requests) sent += await send(10);
    return {
      requests,
      moduleBytes: [before, filter.memorySize],
      envoyBytes: [settled, envoy.memoryBytes()],
      envoyRequests: sent,
    };
  } finally {
    await envoy.stop();
  }
}
