// Collects the violations of one object while it is decoded.
import { formatPath } from "./field-path.js";
import type { FieldPath, RawObject } from "./resource.js";
import type { Severity, Violation, ViolationCode } from "./violation.js";
import { type Identity, makeViolation } from "./violation-at.js";

/** A finding about one value, before it is known where that value stands. An error unless it says otherwise. */
export interface Fault {
  readonly code: ViolationCode;
  readonly message: string;
  readonly severity?: Severity;
}

/** The faults of one object, in the order they were found, with what decoding must know of faults found earlier. */
export class Report {
  readonly violations: Violation[] = [];
  #unsound = new Set<string>();

  constructor(
    private readonly locate: RawObject["locate"],
    private readonly identity: Identity,
  ) {}

  error(code: ViolationCode, path: FieldPath, message: string): void {
    this.add({ code, message }, path);
  }

  warning(code: ViolationCode, path: FieldPath, message: string): void {
    this.add({ code, message, severity: "warning" }, path);
  }

  add(fault: Fault, path: FieldPath): void {
    const { code, message, severity = "error" } = fault;
    this.violations.push(makeViolation(code, severity, path, message, this.locate(path), this.identity));
  }

  /** True when something stands that keeps the object from being used. */
  get failed(): boolean {
    return this.violations.some((violation) => violation.severity === "error");
  }

  /** Says that the object at this path lacks fields or has ones of a wrong type. */
  markUnsound(path: FieldPath): void {
    this.#unsound.add(formatPath(path));
  }

  /**
   * False where a field of the object at this path is missing or of a wrong type. Checks that compare such fields with
   * one another are then left out, because what they would say follows from the fault that is reported already.
   */
  sound(path: FieldPath): boolean {
    return this.#unsound.size === 0 || !this.#unsound.has(formatPath(path));
  }
}
