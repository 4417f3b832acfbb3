// A rollout of a filter's version over proxies: what was asked for, which never changes, and how far it has come.

export interface RolloutPlan {
  /** A number of six digits; later rollouts have higher ones. */
  readonly id: string;
  readonly filter: string;
  readonly version: string;
  /** Of the version's module when it was chosen, in hexadecimal: no other is rolled out in its name. */
  readonly sha256?: string;
  /** The labels that a proxy must have to take part; none means every proxy. */
  readonly selector: Readonly<Record<string, string>>;
  /** Shares of the proxies, growing, the last one 1. */
  readonly steps: readonly number[];
  /** How long each step must go well. Milliseconds. */
  readonly holdMillis: number;
  /** ISO 8601. */
  readonly at: string;
  readonly by: string;
}

export interface RolloutState {
  readonly phase: "rolling" | "completed" | "rolled-back";
  /** Index of the present step. */
  readonly step: number;
  /** Proxies whose position is below this have the version: about the step's share. */
  readonly reached: number;
  /** Why it was rolled back. */
  readonly reason?: string;
  /** ISO 8601. */
  readonly changedAt: string;
}

export interface Rollout {
  readonly plan: RolloutPlan;
  /** Absent while it has not begun. */
  readonly state?: RolloutState;
  /** Who wants it rolled back. */
  readonly rollbackBy?: string;
}

/** Whether it gives, or will give, proxies its version. */
export function counts({ state, rollbackBy }: Rollout): boolean {
  return state?.phase !== "rolled-back" && rollbackBy === undefined;
}

/** The plan with the number behind that of the last rollout. */
export function numbered(plan: Omit<RolloutPlan, "id">, last = "0"): RolloutPlan {
  return { id: String(Number(last) + 1).padStart(6, "0"), ...plan };
}

/** Whether a value has the shape of a plan, wherever it was read. */
export function isPlan(value: unknown): value is RolloutPlan {
  const { filter, version, selector, steps, holdMillis } = (value ?? {}) as Partial<RolloutPlan>;
  const isSelector = typeof selector === "object" && selector !== null;
  const areSteps = Array.isArray(steps) && steps.length > 0 && steps.every((step) => typeof step === "number");
  return (
    [filter, version].every((name) => typeof name === "string") && isSelector && areSteps && Number(holdMillis) >= 0
  );
}

/** The same of a state. */
export function isState(value: unknown): value is RolloutState {
  const { phase, step, reached } = (value ?? {}) as Partial<RolloutState>;
  const isPhase = phase === "rolling" || phase === "completed" || phase === "rolled-back";
  return isPhase && Number.isSafeInteger(step) && typeof reached === "number";
}
