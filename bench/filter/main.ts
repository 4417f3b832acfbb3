// `npm run bench:filter`: what the traffic filter costs, side by side with Envoy's own routes and with Lua, in one run.
import { statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { table } from "../../controlplane/cli/table.js";
import { MODULE } from "../../test/filter/traffic-envoy.js";
import { withoutRules } from "./contestants.js";
import { type Delays, measureDelays } from "./delays.js";
import { startEnvoyUnderTest } from "./envoy-under-test.js";
import { type Latency, measureLatency } from "./latency.js";
import { type Flatness, type Loading, measureFlatness, measureLoading } from "./loading.js";
import { type Cost, measureCosts, SIZES } from "./routing-cost.js";
import { type Target, targets } from "./targets.js";

export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly moduleBytes: number;
  readonly costs: readonly Cost[];
  readonly latency: readonly Latency[];
  readonly loading: readonly Loading[];
  readonly flatness: Flatness;
  readonly delays: Delays;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    sizes: { type: "string", default: SIZES.join(",") },
    requests: { type: "string", default: "1000000" },
    out: { type: "string" },
    check: { type: "boolean", default: false },
  },
});

const say = (line: string) => process.stderr.write(`${line}\n`);
const options = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  sizes: values.sizes.split(",").map(Number),
  say,
};

const results = await measure();
const judged = targets(results);
process.stdout.write(report(results, judged));
if (values.out) writeFileSync(values.out, `${JSON.stringify({ ...results, targets: judged }, null, 2)}\n`);
if (values.check && judged.some((target) => !target.met)) process.exitCode = 1;

async function measure(): Promise<Results> {
  const direct = await measureCosts("direct", options);
  const answering = withoutRules("direct");
  const backend = await startEnvoyUnderTest(answering.virtualHost, answering.filters);
  const address = new URL(backend.url);
  const upstream = await measureCosts(
    "upstream",
    { ...options, sizes: [10, 10_000] },
    {
      host: address.hostname,
      port: Number(address.port),
    },
  ).finally(() => backend.stop());
  say("latency, loading, memory, delays");
  return {
    machine: { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.version },
    moduleBytes: statSync(MODULE).size,
    costs: [...direct, ...upstream],
    latency: await measureLatency(options.rounds, options.seconds),
    loading: options.sizes.map((rules) => measureLoading(rules, options.rounds)),
    flatness: await measureFlatness(Number(values.requests)),
    delays: await measureDelays(),
  };
}

function report(found: Results, judged: readonly Target[]): string {
  const micros = (value: number) => value.toFixed(2);
  const costs = found.costs.map(({ name, rules, ending, cpuMicros, runs }) => [
    ending,
    name,
    rules === 0 ? "-" : String(rules),
    micros(cpuMicros),
    `${micros(Math.min(...runs))} to ${micros(Math.max(...runs))}`,
  ]);
  const latency = found.latency.map(({ name, p50Micros, p99Micros, busy }) => [
    name,
    String(p50Micros),
    String(p99Micros),
    `${(100 * busy).toFixed(0)} %`,
  ]);
  const loading = found.loading.map((row) => [
    String(row.rules),
    `${(row.imageBytes / 1024).toFixed(0)} KiB`,
    row.compileMillis.toFixed(1),
    row.loadMillis.toFixed(2),
    `${(row.memoryBytes / 1024).toFixed(0)} KiB`,
  ]);
  const { machine } = found;
  return [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; module ${found.moduleBytes} bytes\n`,
    table(["ENDING", "ROUTED BY", "RULES", "CPU us/request", "RUNS"], costs),
    table(["ROUTED BY", "p50 us", "p99 us", "WORKER BUSY"], latency),
    table(["RULES", "IMAGE", "COMPILE ms", "LOAD ms", "MODULE MEMORY"], loading),
    table(
      ["DELAY ms", "REQUESTS", "PAUSED AT ONCE", "LATE p50 ms", "LATE p99 ms", "UNDELAYED p50 ms"],
      [delayRow(found.delays)],
    ),
    table(
      ["TARGET", "MEASURED", "MET"],
      judged.map(({ name, measured, met }) => [name, measured, met ? "yes" : "NO"]),
    ),
  ].join("\n");
}

function delayRow({ delayMillis, requests, paused, lateMillis, plainMillis }: Delays): string[] {
  const late = [lateMillis.p50, lateMillis.p99, plainMillis.p50].map((millis) => millis.toFixed(2));
  return [delayMillis, requests, paused].map(String).concat(late);
}
