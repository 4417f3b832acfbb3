// A violation as a person reads it, and as tools do.
import type { Violation } from "../resources/violation.js";

/** file:line:column: severity code object path: message */
export function violationText(violation: Violation): string {
  const { position, severity, code, kind, namespace, name, path, message } = violation;
  const place = position ? `${position.file}:${position.line}:${position.column}: ` : "";
  const named = name === undefined ? "" : ` ${namespace ?? ""}/${name}`;
  const object = kind ? ` ${kind}${named}` : "";
  return `${place}${severity} [${code}]${object}${path ? ` ${path}` : ""}: ${message}`;
}

/** One flat object, with null for what is not known. */
export function violationJson(violation: Violation): object {
  const { position, severity, code, kind, namespace, name, path, message } = violation;
  return {
    code,
    severity,
    file: position?.file ?? null,
    line: position?.line ?? null,
    column: position?.column ?? null,
    kind: kind ?? null,
    namespace: namespace ?? null,
    name: name ?? null,
    path,
    message,
  };
}

/** "1 object", "2 objects". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
