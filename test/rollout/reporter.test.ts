// What a control plane waits for before a rollout begins.
import { beforeEach, expect, test } from "vitest";
import { DEFAULT_GATE } from "../../controlplane/rollout/gate.js";
import { Observations } from "../../controlplane/rollout/observations.js";
import type { Rollout } from "../../controlplane/rollout/plan.js";
import { BEFORE, Reporter } from "../../controlplane/rollout/reporter.js";

const ROLLOUT: Rollout = {
  plan: { id: "000001", filter: "f", version: "1", selector: { app: "a" }, steps: [1], holdMillis: 0, at: "", by: "" },
};
let observations: Observations;
let reporter: Reporter;
let clock: number;

beforeEach(() => {
  observations = new Observations();
  clock = 1_000;
  reporter = new Reporter({
    observations,
    proxies: () => ["a", "b"].map((app) => ({ id: app, labels: { app } })),
    namesOf: () => ["f"],
    acknowledgement: () => ({ acknowledged: true }),
    now: () => clock,
    gate: DEFAULT_GATE,
  });
});

const tell = (proxy: string, failures = 0) =>
  observations.report(
    proxy,
    { values: new Map([["wasm.f.vm_reload_failure", failures]]), histograms: new Map() },
    clock,
  );

test("A rollout waits for what its proxies counted before, which is not laid at it", () => {
  tell("a");
  tell("b");
  clock += 500;
  reporter.begin("000001", BEFORE);
  expect(reporter.hasHeard(ROLLOUT)).toBe(false);
  clock += 500;
  tell("a", 3);
  expect(reporter.hasHeard(ROLLOUT)).toBe(true);
  reporter.begin("000001", 0);
  clock += 1_000;
  tell("a", 3);
  const begun: Rollout = { ...ROLLOUT, state: { phase: "rolling", step: 0, reached: 1, changedAt: "" } };
  expect(reporter.reportOf(begun).canary.failures).toBe(0);
});

test("It waits for none that never told anything, and for one that is silent no longer than silence is borne", () => {
  reporter.begin("000001", BEFORE);
  expect(reporter.hasHeard(ROLLOUT)).toBe(true);
  tell("a");
  clock += 1;
  reporter.begin("000001", 0);
  clock += DEFAULT_GATE.silentMillis;
  expect(reporter.hasHeard(ROLLOUT)).toBe(false);
  clock += 1;
  expect(reporter.hasHeard(ROLLOUT)).toBe(true);
});
