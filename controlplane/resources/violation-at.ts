// Makes violations: places a fault in an object, by the field's path, and says whose it is.
import { formatPath } from "./field-path.js";
import type { FieldPath, RawObject } from "./resource.js";
import type { Severity, Violation, ViolationCode } from "./violation.js";

/** Whom a violation is about; what of it could be read. */
export interface Identity {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** A violation about a decoded resource, for faults that only show when objects are looked at together. */
export function violationAt(
  resource: {
    readonly kind: string;
    readonly meta: { readonly namespace: string; readonly name: string };
    readonly locate: RawObject["locate"];
  },
  code: ViolationCode,
  severity: Severity,
  path: FieldPath,
  message: string,
): Violation {
  const { namespace, name } = resource.meta;
  return makeViolation(code, severity, path, message, resource.locate(path), { kind: resource.kind, namespace, name });
}

/** A violation with its place. */
export function makeViolation(
  code: ViolationCode,
  severity: Severity,
  path: FieldPath,
  message: string,
  position: Violation["position"],
  identity: Identity,
): Violation {
  return Object.freeze({
    code,
    severity,
    message,
    path: formatPath(path),
    ...(position === undefined ? {} : { position: Object.freeze(position) }),
    ...identity,
  });
}
