// Whether a rollout may go on: the proxies that have the new version, held against those that do not. Pure.
import type { Figures } from "./observations.js";

export interface CanaryState {
  readonly id: string;
  /** It took the version; or it was sent it and has not answered, or refused it. */
  readonly acknowledged: boolean;
  readonly rejected?: string;
  readonly restarted: boolean;
  /** How long its Envoy has said nothing of itself while it should have, milliseconds. */
  readonly silentMillis: number;
  /** How long it has had to acknowledge. */
  readonly waitedMillis: number;
}

export interface GateInput {
  readonly canaries: readonly CanaryState[];
  /** Since the step began. */
  readonly canary: Figures;
  /** Of the other proxies at the same time; or, without enough of that, of all before the rollout. */
  readonly others: Figures;
}

export interface GateLimits {
  readonly acknowledgeMillis: number;
  readonly silentMillis: number;
  /** So much more of the canaries' requests may fail, or be slow, than of the others'. */
  readonly moreErrors: number;
  readonly moreSlow: number;
  /** Fewer requests are not judged. */
  readonly leastRequests: number;
}

export const DEFAULT_GATE: GateLimits = {
  acknowledgeMillis: 10_000,
  silentMillis: 2_250,
  moreErrors: 0.01,
  moreSlow: 0.1,
  leastRequests: 50,
};

/** By chance alone a difference of so many standard deviations comes once in 30,000 times. */
const DEVIATIONS = 4;
const SLOW_FROM = 0.9;

/** Why the rollout must go back; undefined while all is well. */
export function findFailure({ canaries, canary, others }: GateInput, limits: GateLimits): string | undefined {
  for (const { id, acknowledged, rejected, restarted, silentMillis, waitedMillis } of canaries) {
    if (rejected !== undefined) return `${id} rejected it: ${rejected}`;
    if (!acknowledged && waitedMillis > limits.acknowledgeMillis)
      return `${id} has not acknowledged it within ${limits.acknowledgeMillis} ms`;
    if (restarted) return `the Envoy of ${id} ended and was started again`;
    if (silentMillis > limits.silentMillis)
      return `the Envoy of ${id} has told nothing of itself for ${limits.silentMillis} ms, as when a worker hangs`;
  }
  if (canary.failures > 0) return `the filter's VM failed or was loaded anew ${canary.failures} times`;
  return findMoreErrors(canary, others, limits) ?? findMoreSlow(canary, others, limits);
}

function findMoreErrors(canary: Figures, others: Figures, limits: GateLimits): string | undefined {
  const [is, was] = [share(canary.errors, canary.requests), share(others.errors, others.requests)];
  if (!isWorse(canary.errors, canary.requests, others.errors, others.requests, limits.moreErrors, limits))
    return undefined;
  return `${percent(is)} of ${canary.requests} requests failed, and ${percent(was)} of ${others.requests} without it`;
}

/** Slow is what takes longer than nine of ten requests of the others. */
function findMoreSlow(canary: Figures, others: Figures, limits: GateLimits): string | undefined {
  const total = others.durations.get(Number.POSITIVE_INFINITY) ?? 0;
  const bounds = [...others.durations.keys()].sort((a, b) => a - b);
  const bound = bounds.find((candidate) => (others.durations.get(candidate) ?? 0) >= SLOW_FROM * total);
  if (bound === undefined || !Number.isFinite(bound)) return undefined;
  const count = canary.durations.get(Number.POSITIVE_INFINITY) ?? 0;
  const slow = count - (canary.durations.get(bound) ?? 0);
  const otherSlow = total - (others.durations.get(bound) ?? 0);
  if (!isWorse(slow, count, otherSlow, total, limits.moreSlow, limits)) return undefined;
  const shares = `${percent(share(slow, count))} of ${count} requests took longer than ${bound} ms`;
  return `${shares}, and ${percent(share(otherSlow, total))} of ${total} without it`;
}

/** By more than the margin, and by more than chance explains. */
function isWorse(
  bad: number,
  count: number,
  otherBad: number,
  otherCount: number,
  margin: number,
  { leastRequests }: GateLimits,
): boolean {
  if (count < leastRequests || otherCount < leastRequests) return false;
  const difference = share(bad, count) - share(otherBad, otherCount);
  const pooled = share(bad + otherBad, count + otherCount);
  const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / count + 1 / otherCount));
  return difference > margin && difference > DEVIATIONS * deviation;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}
