// One AdmissionReview: the object that is to be written is held against what `headgate validate` says of it.
import type { Violation } from "../resources/violation.js";

/** What a webhook is asked, as far as it counts here. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  /** Absent when an object is deleted. */
  readonly object?: Readonly<Record<string, unknown>>;
}

/** Of the answer; the rest is counted. */
const MOST_FAULTS = 20;
const MOST_WARNINGS = 10;
/** Characters: clients are told of no more. */
const LONGEST_WARNING = 256;

/** Undefined for what is no AdmissionReview v1 with a request. */
export function parseReview(body: unknown): AdmissionRequest | undefined {
  if (!isObject(body) || body.kind !== "AdmissionReview" || body.apiVersion !== "admission.k8s.io/v1") return undefined;
  const { request } = body;
  if (!isObject(request) || typeof request.uid !== "string") return undefined;
  const { uid, namespace, object } = request;
  return {
    uid,
    namespace: typeof namespace === "string" ? namespace : "",
    ...(isObject(object) ? { object } : {}),
  };
}

/**
 * What is to be checked: undefined where there is nothing to, as for an object that is only waiting to be gone. An object
 * whose name the API server has yet to make up gets one of the same form.
 */
export function objectToCheck({ object }: AdmissionRequest): object | undefined {
  if (object === undefined) return undefined;
  const metadata = isObject(object.metadata) ? object.metadata : {};
  if (metadata.deletionTimestamp != null) return undefined;
  if (metadata.name || typeof metadata.generateName !== "string") return object;
  return { ...object, metadata: { ...metadata, name: `${metadata.generateName}00000` } };
}

/** The AdmissionReview that answers: errors refuse the object, warnings are passed on. */
export function reviewAnswer(uid: string, violations: readonly Violation[]): object {
  const errors = violations.filter(({ severity }) => severity === "error");
  const warnings = violations.filter(({ severity }) => severity === "warning").map(faultText);
  return reviewOf({
    uid,
    allowed: errors.length === 0,
    ...(errors.length === 0 ? {} : { status: refusal(errors) }),
    ...(warnings.length === 0 ? {} : { warnings: warnings.slice(0, MOST_WARNINGS).map(shortened) }),
  });
}

export function reviewOf(response: object): object {
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response };
}

function refusal(errors: readonly Violation[]): object {
  const told = errors.slice(0, MOST_FAULTS);
  const untold = errors.length - told.length;
  const texts = [...told.map(faultText), ...(untold > 0 ? [`and ${untold} more faults`] : [])];
  const causes = told.map(({ code, message, path }) => ({ reason: code, message, field: path }));
  // Of what is Invalid kubectl shows the causes alone, without their codes.
  return { code: 400, reason: "BadRequest", message: texts.join("\n"), details: { causes } };
}

/** The object itself is known to whoever wrote it. */
function faultText({ code, path, message }: Violation): string {
  return `[${code}]${path ? ` ${path}` : ""}: ${message}`;
}

function shortened(text: string): string {
  return text.length <= LONGEST_WARNING ? text : `${text.slice(0, LONGEST_WARNING - 1)}…`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
