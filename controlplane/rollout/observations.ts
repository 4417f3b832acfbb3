// What Envoys say of themselves, kept for as long as a gate may look back.
import type { MetricsMessage } from "./metrics-stream.js";

/** Counts since the proxy was first heard of, or between two times. */
export interface Figures {
  readonly requests: number;
  /** Answered with 5xx. */
  readonly errors: number;
  /** Times that a filter's VM failed, was loaded anew, or was passed over because it had failed; or requests that it broke off. */
  readonly failures: number;
  /** By upper bound in milliseconds, how many requests took at most so long. */
  readonly durations: ReadonlyMap<number, number>;
}

interface Sample extends Omit<Figures, "failures"> {
  readonly at: number;
  /** By the filter's name in Envoy. */
  readonly failures: ReadonlyMap<string, number>;
  /** Requests that a filter of this name, or another one that they passed through, broke off. */
  readonly broken: ReadonlyMap<string, number>;
}

interface Observed {
  readonly values: Map<string, number>;
  readonly durations: Map<number, number>;
  readonly samples: Sample[];
  /** When the Envoy ended that is known to have been replaced last. */
  restartedAt: number;
  /** When its last connection was lost. */
  leftAt?: number;
}

/** Milliseconds. */
const LOOK_BACK = 120_000;
const SPACING = 200;
const UPTIME = "server.uptime";
const COUNTER = /^http\.(?!admin\.).+\.downstream_rq_(completed|5xx)$/;
const DURATION = /^http\.(?!admin\.).+\.downstream_rq_time$/;
const FAILURE = /^wasm\.(.+)\.vm_reload_(backoff|failure|success)$/;
const BROKEN = /^wasm\.(.+)\.requests_broken$/;
/** If requests were broken off within so many milliseconds before, then not by what came since. */
const CALM = 30_000;

/** Whether a statistic is looked at here. */
export function isObserved(name: string): boolean {
  return name === UPTIME || COUNTER.test(name) || DURATION.test(name) || FAILURE.test(name) || BROKEN.test(name);
}

export class Observations {
  readonly #proxies = new Map<string, Observed>();

  /** now: milliseconds of a clock that only goes forward, as in every call. */
  report(proxy: string, { values, histograms }: MetricsMessage, now: number): void {
    const observed: Observed = this.#proxies.get(proxy) ?? {
      values: new Map(),
      durations: new Map(),
      samples: [],
      restartedAt: Number.NEGATIVE_INFINITY,
    };
    this.#proxies.set(proxy, observed);
    const uptime = values.get(UPTIME);
    if (uptime !== undefined && uptime < (observed.values.get(UPTIME) ?? 0)) {
      observed.restartedAt = observed.leftAt ?? now;
      forget(observed);
    } else if (hasFallen(observed.values, values)) forget(observed);
    for (const [name, value] of values) observed.values.set(name, value);
    for (const histogram of histograms.values())
      for (const [bound, count] of histogram)
        observed.durations.set(bound, (observed.durations.get(bound) ?? 0) + count);
    const last = observed.samples.at(-1);
    // One flush comes in several messages.
    if (last && now - last.at < SPACING) observed.samples.pop();
    observed.samples.push(sampleOf(observed, last && now - last.at < SPACING ? last.at : now));
    while ((observed.samples[0]?.at ?? now) < now - LOOK_BACK) observed.samples.shift();
  }

  /** It is kept as long as a gate may look back: a proxy whose Envoy is replaced comes back under the same name. */
  disconnected(proxy: string, now: number): void {
    const observed = this.#proxies.get(proxy);
    if (observed) observed.leftAt = now;
    for (const [id, { samples }] of this.#proxies)
      if (id !== proxy && (samples.at(-1)?.at ?? 0) < now - LOOK_BACK) this.#proxies.delete(id);
  }

  /** When the proxy last said something; undefined if it never did. */
  lastHeard(proxy: string): number | undefined {
    return this.#proxies.get(proxy)?.samples.at(-1)?.at;
  }

  /** Whether an Envoy of the proxy that ended since then was replaced. One that another took over from does not count. */
  hasRestarted(proxy: string, since: number): boolean {
    return (this.#proxies.get(proxy)?.restartedAt ?? Number.NEGATIVE_INFINITY) > since;
  }

  /** What all these proxies counted from one time to another; of failures, those of the filters of these names. */
  between(proxies: Iterable<string>, from: number, to: number, filters: readonly string[] = []): Figures {
    const sum = { requests: 0, errors: 0, failures: 0 };
    const durations: ReadonlyMap<number, number>[] = [];
    for (const proxy of proxies) {
      const samples = this.#proxies.get(proxy)?.samples ?? [];
      const end = samples.findLast(({ at }) => at <= to);
      const start = samples.findLast(({ at }) => at <= from) ?? samples[0];
      if (!start || !end || end.at <= start.at) continue;
      sum.requests += end.requests - start.requests;
      sum.errors += end.errors - start.errors;
      const before = samples.findLast(({ at }) => at <= from - CALM) ?? samples[0] ?? start;
      for (const filter of filters) {
        sum.failures += grown(start.failures, end.failures, filter);
        if (grown(before.broken, start.broken, filter) === 0) sum.failures += grown(start.broken, end.broken, filter);
      }
      durations.push(
        new Map([...end.durations].map(([bound, count]) => [bound, count - (start.durations.get(bound) ?? 0)])),
      );
    }
    return { ...sum, durations: sumDurations(durations) };
  }
}

function grown(from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>, name: string): number {
  return (to.get(name) ?? 0) - (from.get(name) ?? 0);
}

/** What all took together. Proxies of another version may count by other bounds: only those that all have tell anything. */
export function sumDurations(all: readonly ReadonlyMap<number, number>[]): ReadonlyMap<number, number> {
  const counted = all.filter(({ size }) => size > 0);
  const bounds = [...(counted[0]?.keys() ?? [])].filter((bound) => counted.every((of) => of.has(bound)));
  return new Map(bounds.map((bound) => [bound, counted.reduce((sum, of) => sum + (of.get(bound) ?? 0), 0)]));
}

/** Counters only fall in a new process; with a hot restart, its uptime goes on. */
function hasFallen(before: ReadonlyMap<string, number>, values: ReadonlyMap<string, number>): boolean {
  return [...values].some(([name, value]) => value < (before.get(name) ?? 0));
}

/** Counters begin at 0 again; what was counted before cannot be compared with. */
function forget(observed: Observed): void {
  observed.values.clear();
  observed.durations.clear();
  observed.samples.length = 0;
}

function sampleOf({ values, durations }: Observed, at: number): Sample {
  const failures = new Map<string, number>();
  const broken = new Map<string, number>();
  const sum = { at, requests: 0, errors: 0, failures, broken, durations: new Map(durations) };
  for (const [name, value] of values) {
    const failed = FAILURE.exec(name)?.[1];
    const breaking = BROKEN.exec(name)?.[1];
    if (failed !== undefined) failures.set(failed, (failures.get(failed) ?? 0) + value);
    else if (breaking !== undefined) broken.set(breaking, value);
    else if (name.endsWith("_5xx")) sum.errors += value;
    else if (name.endsWith("_completed")) sum.requests += value;
  }
  return sum;
}
