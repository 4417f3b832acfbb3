// When what an Envoy says of itself means that it is another one than before.
import { beforeEach, expect, test } from "vitest";
import { Observations } from "../../controlplane/rollout/observations.js";

let observations: Observations;
beforeEach(() => {
  observations = new Observations();
});

function report(at: number, uptime: number, requests: number): void {
  const values = new Map([
    ["server.uptime", uptime],
    ["http.a.downstream_rq_completed", requests],
  ]);
  observations.report("p", { values, histograms: new Map() }, at);
}

test("A restart counts from when the former Envoy was lost, not from when the next one is first heard", () => {
  report(1_000, 50, 100);
  observations.disconnected("p", 1_500);
  report(3_000, 0, 0);
  expect(observations.hasRestarted("p", 1_400)).toBe(true);
  expect(observations.hasRestarted("p", 2_000)).toBe(false);
});

test("An Envoy that takes over from another counts from 0, and is no restart", () => {
  report(1_000, 50, 100);
  report(2_000, 51, 150);
  report(3_000, 52, 5);
  report(4_000, 53, 9);
  expect(observations.hasRestarted("p", 0)).toBe(false);
  expect(observations.between(["p"], 0, 4_000).requests).toBe(4);
});

test("What proxies took that count by different bounds is added up by the bounds that they share", () => {
  const told = (proxy: string, at: number, uptime: number, ...bounds: [number, number][]) =>
    observations.report(
      proxy,
      {
        values: new Map([["server.uptime", uptime]]),
        histograms: new Map([["http.a.downstream_rq_time", new Map(bounds)]]),
      },
      at,
    );
  const all = Number.POSITIVE_INFINITY;
  told("fine", 1_000, 1, [10, 0], [15, 0], [25, 0], [all, 0]);
  told("fine", 2_000, 2, [10, 1], [15, 2], [25, 3], [all, 4]);
  told("coarse", 1_000, 1, [10, 0], [25, 0], [all, 0]);
  told("coarse", 2_000, 2, [10, 5], [25, 5], [all, 6]);
  const durations = (...proxies: string[]) => [...observations.between(proxies, 1_000, 3_000).durations];
  expect(durations("fine")).toEqual([
    [10, 1],
    [15, 2],
    [25, 3],
    [all, 4],
  ]);
  expect(durations("fine", "coarse")).toEqual([
    [10, 6],
    [25, 8],
    [all, 10],
  ]);
  // The next Envoy of that proxy has another bootstrap.
  told("fine", 2_500, 0, [10, 0], [25, 0], [all, 0]);
  told("fine", 3_000, 1, [10, 7], [25, 7], [all, 8]);
  expect(durations("fine")).toEqual([
    [10, 7],
    [25, 7],
    [all, 8],
  ]);
});

test("Requests that a filter broke off are failures of it, unless some were broken off shortly before as well", () => {
  const told = (at: number, broken: number) =>
    observations.report("p", { values: new Map([["wasm.f.requests_broken", broken]]), histograms: new Map() }, at);
  const failures = (from: number, to: number, ...filters: string[]) =>
    observations.between(["p"], from, to, filters).failures;
  told(1_000, 0);
  told(40_000, 0);
  told(41_000, 2);
  expect(failures(40_000, 41_000, "f")).toBe(2);
  expect(failures(40_000, 41_000, "g")).toBe(0);
  told(70_000, 2);
  told(71_000, 3);
  expect(failures(70_000, 71_000, "f")).toBe(0);
  told(102_000, 3);
  told(103_000, 4);
  expect(failures(102_000, 103_000, "f")).toBe(1);
});
