// A policy's status, in the shape of Istio's: conditions, validation messages and the generation that they are about.
import type { Violation } from "../resources/violation.js";
import type { Count } from "./acknowledgements.js";

export interface Condition {
  readonly type: "Accepted" | "PassedAnalysis" | "Reconciled";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339, whole seconds: when the status was another for the last time. */
  readonly lastTransitionTime: string;
}

export interface ValidationMessage {
  readonly type: { readonly code: string };
  readonly level: "ERROR" | "WARNING";
  readonly path: string;
  readonly message: string;
}

export interface PolicyStatus {
  readonly conditions: readonly Condition[];
  readonly validationMessages: readonly ValidationMessage[];
  readonly observedGeneration: number;
}

/** What a policy's status is made from. */
export interface Findings {
  readonly generation: number;
  /** Of the object by itself. An error among them keeps it from being served. */
  readonly own: readonly Violation[];
  /** What shows when objects are looked at together. */
  readonly mutual: readonly Violation[];
  /** Over all replicas. */
  readonly count: Count;
  /** Replicas that have not taken this generation in yet, or do not say. */
  readonly silent: number;
}

const MOST_MESSAGES = 20;
const MOST_CHARACTERS = 1_024;

type NewCondition = Omit<Condition, "lastTransitionTime" | "observedGeneration">;

/** `before` is the status that stands, from which times of transitions are taken over; `now` is RFC 3339. */
export function policyStatus(findings: Findings, before: PolicyStatus | undefined, now: string): PolicyStatus {
  const { generation, own, mutual } = findings;
  const conditions = [accepted(own), passedAnalysis([...own, ...mutual]), reconciled(findings)].map((condition) => {
    const known = before?.conditions.find(({ type }) => type === condition.type);
    const lastTransitionTime = known?.status === condition.status ? known.lastTransitionTime : now;
    return { ...condition, observedGeneration: generation, lastTransitionTime };
  });
  const messages = [...own, ...mutual].slice(0, MOST_MESSAGES);
  return { conditions, validationMessages: messages.map(validationMessage), observedGeneration: generation };
}

/**
 * How much it matters to write a status in the place of another: not at all where they say the same, little where
 * proxies came and went and all have what they should.
 */
export function difference(before: PolicyStatus | undefined, now: PolicyStatus): "none" | "little" | "much" {
  if (before === undefined) return "much";
  if (textOf(before) === textOf(now)) return "none";
  return textOf(before, isFulfilled) === textOf(now, isFulfilled) ? "little" : "much";
}

export function conditionOf(status: PolicyStatus | undefined, type: Condition["type"]): Condition | undefined {
  return status?.conditions.find((condition) => condition.type === type);
}

/** The status as it was read from the cluster; undefined for what Headgate did not write. */
export function readStatus(value: unknown): PolicyStatus | undefined {
  const { conditions, validationMessages, observedGeneration } = (value ?? {}) as Partial<PolicyStatus>;
  const isOurs = Array.isArray(conditions) && conditions.some(({ type }) => type === "Accepted");
  if (!isOurs || observedGeneration === undefined) return undefined;
  return { conditions, validationMessages: validationMessages ?? [], observedGeneration };
}

function accepted(own: readonly Violation[]): NewCondition {
  const errors = own.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined)
    return { type: "Accepted", status: "True", reason: "Accepted", message: "It has no errors." };
  return { type: "Accepted", status: "False", reason: first.code, message: list(errors) };
}

function passedAnalysis(all: readonly Violation[]): NewCondition {
  const type = "PassedAnalysis";
  const [first] = all;
  if (first === undefined) return { type, status: "True", reason: "NothingFound", message: "Nothing was found." };
  return { type, status: "False", reason: first.code, message: list(all) };
}

function reconciled({ own, count, silent }: Findings): NewCondition {
  const type = "Reconciled";
  if (own.some(({ severity }) => severity === "error")) {
    const message = "This generation is not served; what proxies have in its place they keep.";
    return { type, status: "False", reason: "NotAccepted", message };
  }
  const { concerned, acknowledged, rejected, error } = count;
  const waiting = silent === 0 ? "" : ` ${silent} of the other replicas ${silent === 1 ? "has" : "have"} yet to tell.`;
  const told = `${acknowledged} of ${concerned} proxies have acknowledged it.${waiting}`;
  if (rejected > 0) {
    const message = cut(`${told} ${rejected} rejected it: ${error ?? ""}`);
    return { type, status: "False", reason: "Rejected", message };
  }
  if (acknowledged < concerned || silent > 0) return { type, status: "False", reason: "Propagating", message: told };
  if (concerned > 0) return { type, status: "True", reason: "Acknowledged", message: told };
  return { type, status: "True", reason: "NoProxies", message: "It concerns none of the proxies." };
}

function list(violations: readonly Violation[]): string {
  return cut(violations.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join(" "));
}

function validationMessage({ code, severity, path, message }: Violation): ValidationMessage {
  return { type: { code }, level: severity === "error" ? "ERROR" : "WARNING", path, message: cut(message) };
}

function isFulfilled({ type, status }: Condition): boolean {
  return type === "Reconciled" && status === "True";
}

/** Everything but times, and but the wording of conditions for which `spare` holds. */
function textOf(status: PolicyStatus, spare: (condition: Condition) => boolean = () => false): string {
  const conditions = status.conditions.map((condition) => {
    const { type, status, reason, message, observedGeneration } = condition;
    return spare(condition) ? [type, status, observedGeneration] : [type, status, reason, message, observedGeneration];
  });
  const messages = status.validationMessages.map(({ type, level, path, message }) => [type.code, level, path, message]);
  return JSON.stringify([conditions, messages, status.observedGeneration]);
}

function cut(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
