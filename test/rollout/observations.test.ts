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
