// What this control plane sees of the rollout under way: its proxies' answers and statistics since the present step began.
import { type Candidate, hasReached, isSelected, rankingOf } from "./assignment.js";
import { type CanaryState, findFailure, type GateLimits } from "./gate.js";
import type { Observations } from "./observations.js";
import type { Rollout } from "./plan.js";
import { NO_FIGURES, type Report } from "./report.js";

/** What a proxy last answered of its filters; `at` in milliseconds since the epoch. */
export interface Acknowledgement {
  readonly acknowledged: boolean;
  readonly rejection?: { readonly message: string; readonly at: number };
}

export interface ReporterOptions {
  readonly observations: Observations;
  /** The connected proxies that run the filter. */
  readonly proxies: (filter: string) => Iterable<Candidate>;
  /** What Envoys call the filter in their statistics. */
  readonly namesOf: (filter: string) => readonly string[];
  readonly acknowledgement: (proxy: string) => Acknowledgement;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly gate: GateLimits;
}

/** The step of a rollout that has not begun. */
export const BEFORE = -1;
/** Milliseconds. */
const BASELINE = 30_000;

interface Progress {
  readonly id: string;
  readonly step: number;
  readonly beganAt: number;
  /** The rollout's first step, if that was seen. */
  readonly rolloutBeganAt: number | undefined;
  readonly beganOn: number;
  /** Since when every proxy of the step has acknowledged. */
  heldSince?: number;
  /** Since when requests of the step's proxies are known. */
  askedSince?: number;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #progress: Progress | undefined;
  #heldUpAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** A step begins now, unless it was seen before: false then. To be called before its proxies hear of it. */
  begin(id: string, step: number): boolean {
    const known = this.#progress?.id === id ? this.#progress : undefined;
    if (known?.step === step) return false;
    const now = this.#options.now();
    const rolloutBeganAt = known?.step === BEFORE ? now : known?.rolloutBeganAt;
    this.#progress = { id, step, beganAt: now, beganOn: Date.now(), rolloutBeganAt };
    return true;
  }

  /** This control plane was held up until now, so that it has yet to hear what proxies told meanwhile. */
  heldUp(): void {
    this.#heldUpAt = this.#options.now();
  }

  /** How long ago the last step began, milliseconds. */
  get age(): number {
    return this.#progress ? this.#options.now() - this.#progress.beganAt : 0;
  }

  /**
   * Whether the proxies that the rollout selects have told what they counted until its last step began, as far as they tell
   * anything: what a version before it did must not be laid at it.
   */
  hasHeard({ plan }: Rollout): boolean {
    const { observations, gate, proxies } = this.#options;
    const since = this.#progress?.beganAt ?? 0;
    if (this.age > gate.silentMillis) return true;
    return [...proxies(plan.filter)].every(
      (proxy) => !isSelected(plan, proxy) || (observations.lastHeard(proxy.id) ?? since) >= since,
    );
  }

  /** Of the step that began last. */
  reportOf(rollout: Rollout): Report {
    const { observations, now, gate, acknowledgement } = this.#options;
    const { filter } = rollout.plan;
    const progress = this.#progress;
    if (progress?.id !== rollout.plan.id) throw new Error(`rollout ${rollout.plan.id} has not begun here`);
    const at = now();
    const proxies = [...this.#options.proxies(filter)];
    const selected = proxies.filter((proxy) => isSelected(rollout.plan, proxy)).map(({ id }) => id);
    const canaries = proxies.filter((proxy) => hasReached(rollout, proxy)).map(({ id }) => id);
    const rest = proxies.filter((proxy) => !hasReached(rollout, proxy)).map(({ id }) => id);
    const acknowledged = canaries.length > 0 && canaries.every((id) => acknowledgement(id).acknowledged);
    if (!acknowledged) delete progress.heldSince;
    else progress.heldSince ??= at;
    const states = canaries.map((id) => this.#canaryState(id, progress, at));
    const failure = findFailure(
      { canaries: states, canary: NO_FIGURES, late: NO_FIGURES.durations, others: NO_FIGURES },
      gate,
    );
    const { beganAt, rolloutBeganAt } = progress;
    const canary = observations.between(canaries, beganAt, at, this.#options.namesOf(filter));
    if (canary.requests > 0) progress.askedSince ??= at;
    return {
      step: progress.step,
      ...(failure === undefined ? {} : { failure }),
      canaries: canaries.length,
      ...(progress.heldSince === undefined ? {} : { heldMillis: at - progress.heldSince }),
      canary,
      late: observations.between(canaries, ((progress.askedSince ?? at) + at) / 2, at).durations,
      others: observations.between(rest, beganAt, at),
      before:
        rolloutBeganAt === undefined
          ? NO_FIGURES
          : observations.between(selected, rolloutBeganAt - BASELINE, rolloutBeganAt),
      ranking: rankingOf(rollout.plan, proxies),
    };
  }

  #canaryState(id: string, { beganAt, beganOn }: Progress, at: number): CanaryState {
    const { acknowledgement, observations } = this.#options;
    const { acknowledged, rejection } = acknowledgement(id);
    const heard = observations.lastHeard(id);
    return {
      id,
      acknowledged,
      ...(rejection && rejection.at >= beganOn ? { rejected: rejection.message } : {}),
      restarted: observations.hasRestarted(id, beganAt),
      silentMillis: heard === undefined ? 0 : at - Math.max(heard, beganAt, this.#heldUpAt),
      waitedMillis: at - beganAt,
    };
  }
}
