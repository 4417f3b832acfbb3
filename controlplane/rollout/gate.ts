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
  /** Of its durations those in the second half of the time in which there were requests. */
  readonly late: Figures["durations"];
  /** Of the other proxies at the same time; or, without enough of that, of all before the rollout. */
  readonly others: Figures;
}

export interface GateLimits {
  readonly acknowledgeMillis: number;
  readonly silentMillis: number;
  /** So much more of the canaries' requests may fail, or be slow, than of the others'. */
  readonly moreErrors: number;
  readonly moreSlow: number;
  /** Fewer requests on either side are not judged. */
  readonly leastRequests: number;
  readonly slow: readonly SlowLimit[];
}

/** What is slow, by how long nine of ten requests of the others take at most: so much longer, and so many times as long. */
export interface SlowLimit {
  readonly leastRequests: number;
  readonly moreMillis: number;
  readonly times: number;
}

export const DEFAULT_GATE: GateLimits = {
  acknowledgeMillis: 10_000,
  silentMillis: 2_250,
  moreErrors: 0.01,
  moreSlow: 0.1,
  leastRequests: 50,
  // A few milliseconds are what a busy machine does to some proxies and not to others, however many requests show it.
  slow: [
    { leastRequests: 200, moreMillis: 25, times: 1 },
    { leastRequests: 2_000, moreMillis: 10, times: 3 },
  ],
};

/** By chance alone a difference of so many standard deviations comes once in 30,000 times. */
const DEVIATIONS = 4;
const SLOW_FROM = 0.9;

/** Why the rollout must go back; undefined while all is well. */
export function findFailure(input: GateInput, limits: GateLimits): string | undefined {
  const { canaries, canary, others } = input;
  for (const { id, acknowledged, rejected, restarted, silentMillis, waitedMillis } of canaries) {
    if (rejected !== undefined) return `${id} rejected it: ${rejected}`;
    if (!acknowledged && waitedMillis > limits.acknowledgeMillis)
      return `${id} has not acknowledged it within ${limits.acknowledgeMillis} ms`;
    if (restarted) return `the Envoy of ${id} ended and was started again`;
    if (silentMillis > limits.silentMillis)
      return `the Envoy of ${id} has told nothing of itself for ${limits.silentMillis} ms, as when a worker hangs`;
  }
  if (canary.failures > 0) return `the filter's VM failed or was loaded anew ${canary.failures} times`;
  return findMoreErrors(canary, others, limits) ?? findMoreSlow(input, limits);
}

function findMoreErrors(canary: Figures, others: Figures, limits: GateLimits): string | undefined {
  const [is, was] = [
    { bad: canary.errors, of: canary.requests },
    { bad: others.errors, of: others.requests },
  ];
  if (!isWorse(is, was, limits.leastRequests, limits.moreErrors)) return undefined;
  return `${percent(is)} of ${is.of} requests failed, and ${percent(was)} of ${was.of} without it`;
}

/** Requests that wait for the same thing are slow together, which chance does not explain: it has to be so in both halves. */
function findMoreSlow({ canary, late, others }: GateInput, limits: GateLimits): string | undefined {
  const bounds = [...others.durations.keys()].filter((bound) => canary.durations.has(bound)).sort((a, b) => a - b);
  const most = SLOW_FROM * (others.durations.get(Number.POSITIVE_INFINITY) ?? 0);
  const usual = bounds.find((bound) => (others.durations.get(bound) ?? 0) >= most);
  if (usual === undefined) return undefined;
  for (const { leastRequests, moreMillis, times } of limits.slow) {
    const bound = bounds.find((candidate) => candidate >= Math.max(usual + moreMillis, usual * times));
    if (bound === undefined || !Number.isFinite(bound)) continue;
    const [is, was, second] = [
      slowerThan(canary.durations, bound),
      slowerThan(others.durations, bound),
      slowerThan(late, bound),
    ];
    const first = { bad: is.bad - second.bad, of: is.of - second.of };
    const lasts = [first, second].every((half) => half.of > 0 && shareOf(half) - shareOf(was) > limits.moreSlow);
    if (lasts && isWorse(is, was, leastRequests, limits.moreSlow))
      return `${percent(is)} of ${is.of} requests took longer than ${bound} ms, and ${percent(was)} of ${was.of} without it`;
  }
  return undefined;
}

/** So many of the requests, of which there are so many. */
interface Part {
  readonly bad: number;
  readonly of: number;
}

function slowerThan(durations: Figures["durations"], bound: number): Part {
  const of = durations.get(Number.POSITIVE_INFINITY) ?? 0;
  return { bad: of - (durations.get(bound) ?? 0), of };
}

/** By more than the margin, and by more than chance explains. */
function isWorse(is: Part, was: Part, leastRequests: number, margin: number): boolean {
  if (is.of < leastRequests || was.of < leastRequests) return false;
  const difference = shareOf(is) - shareOf(was);
  const pooled = (is.bad + was.bad) / (is.of + was.of);
  const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / is.of + 1 / was.of));
  return difference > margin && difference > DEVIATIONS * deviation;
}

function shareOf({ bad, of }: Part): number {
  return bad / of;
}

function percent(part: Part): string {
  return `${(100 * shareOf(part)).toFixed(1)} %`;
}
