// Decodes the faults that a VirtualService's rule injects.
import { atMostOne, maybe, millis, namesOfSet, optional, present } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { HttpFaultInjection } from "./virtual-service.js";
import type { RawHttpFault } from "./virtual-service.schema.js";

type RawDelay = NonNullable<RawHttpFault["delay"]>;
type RawAbort = NonNullable<RawHttpFault["abort"]>;

/** gRPC's status names; a name's place is its code. */
const GRPC_STATUSES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** As Envoy counts: a millionth. */
const SMALLEST_PERCENTAGE = 0.0001;

export function decodeFault(raw: RawHttpFault, path: FieldPath, report: Report): HttpFaultInjection {
  if (report.sound(path) && namesOfSet(raw, ["delay", "abort"]).length === 0) {
    report.error("missing-field", path, "A fault needs a delay, an abort, or both.");
  }
  return present({
    delay: maybe(raw.delay, (delay) => decodeDelay(delay, [...path, "delay"], report)),
    abort: maybe(raw.abort, (abort) => decodeAbort(abort, [...path, "abort"], report)),
  });
}

function decodeDelay(raw: RawDelay, path: FieldPath, report: Report): NonNullable<HttpFaultInjection["delay"]> {
  atMostOne(raw, ["percentage", "percent"], path, report);
  if (report.sound(path) && namesOfSet(raw, ["fixedDelay", "exponentialDelay"]).length === 0) {
    report.error("missing-field", [...path, "fixedDelay"], "A delay needs its fixedDelay.");
  }
  return {
    fixedDelayMs: millis(raw.fixedDelay) ?? 0,
    percentage: decodePercentage(raw.percentage?.value ?? raw.percent, path, report),
  };
}

function decodeAbort(raw: RawAbort, path: FieldPath, report: Report): NonNullable<HttpFaultInjection["abort"]> {
  const causes = ["httpStatus", "grpcStatus", "http2Error"];
  if (report.sound(path) && namesOfSet(raw, causes).length === 0) {
    report.error("missing-field", path, "An abort needs an httpStatus or a grpcStatus.");
  }
  atMostOne(raw, causes, path, report);
  return present({
    httpStatus: optional(raw.httpStatus),
    grpcStatus: maybe(raw.grpcStatus, (name) => decodeGrpcStatus(name, [...path, "grpcStatus"], report)),
    percentage: decodePercentage(raw.percentage?.value, path, report),
  });
}

function decodeGrpcStatus(name: string, path: FieldPath, report: Report): number {
  const code = GRPC_STATUSES.indexOf(name);
  if (code === -1) {
    report.error(
      "invalid-value",
      path,
      `${JSON.stringify(name.slice(0, 40))} is no gRPC status; use a name such as UNAVAILABLE.`,
    );
  }
  return Math.max(code, 0);
}

/** Istio's documentation: without a percentage no request is affected. That is hardly meant, so it gives a warning. */
function decodePercentage(percentage: number | null | undefined, path: FieldPath, report: Report): number {
  if (percentage == null) {
    if (report.sound(path)) {
      report.warning(
        "ignored-field",
        path,
        "Without a percentage this fault affects no request; set percentage.value.",
      );
    }
    return 0;
  }
  if (percentage > 0 && percentage < SMALLEST_PERCENTAGE) {
    const message = `${percentage} is finer than Envoy can count; the least above 0 is ${SMALLEST_PERCENTAGE}.`;
    report.error("invalid-percentage", [...path, "percentage", "value"], message);
  }
  return percentage;
}
