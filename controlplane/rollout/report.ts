// What one control plane sees of a rollout in its own proxies; all of them together decide how it goes on. Pure.
import type { Ranking } from "./assignment.js";
import { findFailure, type GateLimits } from "./gate.js";
import { type Figures, sumDurations } from "./observations.js";

export interface Report {
  /** The step that it speaks of; -1 before the first. */
  readonly step: number;
  /** Why the rollout must go back, as far as that can be said of each of its proxies by itself. */
  readonly failure?: string;
  /** Its connected proxies that have the version by now, and for how long all of those have acknowledged it. */
  readonly canaries: number;
  readonly heldMillis?: number;
  /** See GateInput. */
  readonly late: Figures["durations"];
  /** See GateInput; `before` is of all its proxies that the rollout selects, before it began. */
  readonly canary: Figures;
  readonly others: Figures;
  readonly before: Figures;
  /** Of its connected proxies that the rollout selects. */
  readonly ranking: Ranking;
}

export const NO_FIGURES: Figures = { requests: 0, errors: 0, failures: 0, durations: new Map() };

/** Whether the step has been held for so long by every proxy that has the version, and there is one that has. */
export function isHeld(reports: readonly Report[], step: number, holdMillis: number): boolean {
  const concerned = reports.filter(({ canaries, step: of }) => canaries > 0 || of !== step);
  return (
    concerned.length > 0 &&
    concerned.every(({ step: of, heldMillis }) => of === step && heldMillis !== undefined && heldMillis >= holdMillis)
  );
}

/** Why the rollout must go back, by all that is told of its present step; undefined while all is well. */
export function failureOf(reports: readonly Report[], step: number, limits: GateLimits): string | undefined {
  const present = reports.filter((report) => report.step === step);
  const told = present.find(({ failure }) => failure !== undefined)?.failure;
  if (told !== undefined) return told;
  const others = sumOf(present.map((report) => report.others));
  // How fast a machine is changes too much from one minute to the next.
  const before = { ...sumOf(present.map((report) => report.before)), durations: new Map<number, number>() };
  const isEnough = others.requests >= limits.leastRequests || before.requests === 0;
  const canary = sumOf(present.map((report) => report.canary));
  const late = sumDurations(present.map((report) => report.late));
  return findFailure({ canaries: [], canary, late, others: isEnough ? others : before }, limits);
}

function sumOf(all: readonly Figures[]): Figures {
  const sum = { requests: 0, errors: 0, failures: 0 };
  for (const { requests, errors, failures } of all) {
    sum.requests += requests;
    sum.errors += errors;
    sum.failures += failures;
  }
  return { ...sum, durations: sumDurations(all.map(({ durations }) => durations)) };
}
