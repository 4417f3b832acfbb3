// What the traffic filter must hold, and whether a run's results do.
import type { Contestant, Ending } from "./contestants.js";
import type { Results } from "./main.js";

export interface Target {
  readonly name: string;
  readonly measured: string;
  readonly met: boolean;
}

const KIB = 1024;

export function targets(results: Results): Target[] {
  const cost = (name: Contestant["name"], rules: number, ending: Ending = "direct") =>
    results.costs.find((row) => row.name === name && row.rules === rules && row.ending === ending)?.cpuMicros ??
    Number.NaN;
  const few = cost("headgate", 10) - cost("none", 0);
  const many = cost("headgate", 10_000) - cost("none", 0);
  const p99 = (name: Contestant["name"]) => results.latency.find((row) => row.name === name)?.p99Micros ?? Number.NaN;
  const largest = results.loading.find((row) => row.rules === 10_000)?.loadMillis ?? Number.NaN;
  const { flatness, delays } = results;
  const late = delays.paused === delays.requests ? delays.lateMillis.p50 - delays.plainMillis.p50 : Number.NaN;
  const ratio = (a: number, b: number) => a / b;
  return [
    target("added CPU with 10 rules <= 4 us", few, (value) => value <= 4, "us"),
    target("added CPU with 10,000 rules <= 1.15 times that", ratio(many, few), (value) => value <= 1.15, "times"),
    target(
      "cheaper than the native list with 200 rules",
      ratio(cost("native", 200), cost("headgate", 200)),
      above(1),
      "times",
    ),
    target("10 times cheaper with 10,000", ratio(cost("native", 10_000), cost("headgate", 10_000)), above(10), "times"),
    target(
      "not dearer than Lua with 10 rules",
      ratio(cost("headgate", 10), cost("lua", 10)),
      (value) => value <= 1,
      "times",
    ),
    target("module memory flat", flatness.moduleBytes[1] - flatness.moduleBytes[0], (value) => value === 0, "bytes"),
    target("module <= 32 KiB", results.moduleBytes / KIB, (value) => value <= 32, "KiB"),
    target(
      "p99 <= 1.05 times native routing",
      ratio(p99("headgate"), p99("native")),
      (value) => value <= 1.05,
      "times",
    ),
    target("10,000 rules load in <= 20 ms", largest, (value) => value <= 20, "ms"),
    target("delays met within 2 ms (median), 1,000 paused at once", late, (value) => value <= 2, "ms"),
  ];
}

function above(least: number): (value: number) => boolean {
  return (value) => value >= least;
}

function target(name: string, value: number, holds: (value: number) => boolean, unit: string): Target {
  return { name, measured: `${value.toFixed(2)} ${unit}`, met: holds(value) };
}
