// What may stand in the HTTP parts of Istio's objects: header names and values, methods, retry conditions.
import { quote } from "./names.js";
import type { Fault } from "./report.js";

/** RFC 9110's token. */
const TOKEN = /^[-!#$%&'*+.^_`|~A-Za-z0-9]+$/;
const CONTROL_CHARACTERS = /[^\P{Cc}\t]/u;
/** %% or a variable, as in %REQ(:path):20% and %START_TIME(%s)%. */
const ENVOY_VARIABLE = /%(?:%|[A-Z][A-Z0-9_]*(?:\([^()]*\))?(?::\d+)?%)/y;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"]);

/** Envoy's conditions for HTTP and gRPC retries. */
const RETRY_CONDITIONS = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

/** What is wrong with a header's name in a list of names, as CORS has them; "*" stands for all. */
export function checkHeaderName(name: string): Fault | undefined {
  return TOKEN.test(name) ? undefined : invalid(`${quote(name)} is no header name.`);
}

/** What is wrong with a header's name in a match. Istio's routing by JWT claims is refused by name. */
export function checkHeaderToMatch(name: string): Fault | undefined {
  if (name.startsWith("@request.auth.claims")) {
    return { code: "unsupported-field", message: "Routing by JWT claims is not supported; match a header instead." };
  }
  return checkHeaderName(name);
}

/** What is wrong with a header's name where a request's headers are set or added to; :authority may be. */
export function checkHeaderToRequest(name: string): Fault | undefined {
  return name.toLowerCase() === ":authority" ? undefined : checkPlainHeader(name);
}

/** What is wrong with a header's name where it is removed, or set on a response: neither can be Host. */
export function checkHeaderToRemoveOrRespond(name: string): Fault | undefined {
  if (name.toLowerCase() === "host") return invalid("The Host header can neither be removed nor set on a response.");
  return checkPlainHeader(name);
}

function checkPlainHeader(name: string): Fault | undefined {
  if (name.startsWith(":")) return invalid(`${quote(name)} is a pseudo-header, which cannot be changed here.`);
  return checkHeaderName(name);
}

/** What is wrong with a header's value. Envoy's %VARIABLES% may stand in it; a percent sign itself is written "%%". */
export function checkHeaderValue(value: string): Fault | undefined {
  if (CONTROL_CHARACTERS.test(value)) return invalid("The header's value has control characters.");
  for (let at = value.indexOf("%"); at !== -1; at = value.indexOf("%", at)) {
    ENVOY_VARIABLE.lastIndex = at;
    if (!ENVOY_VARIABLE.test(value)) {
      return invalid(
        `${quote(value.slice(at))} begins with no variable of Envoy's; write "%%" for the percent sign itself.`,
      );
    }
    at = ENVOY_VARIABLE.lastIndex;
  }
  return undefined;
}

/** What is wrong with a method in a CORS policy. */
export function checkMethod(method: string): Fault | undefined {
  return METHODS.has(method)
    ? undefined
    : invalid(`${quote(method)} is no HTTP method; write it in capitals, as "GET".`);
}

/** What is wrong with a comma-separated list of retry conditions and status codes. */
export function checkRetryOn(list: string): Fault | undefined {
  const unknown = list
    .split(",")
    .map((part) => part.trim())
    .find((part) => !RETRY_CONDITIONS.has(part) && !/^[1-5]\d\d$/.test(part));
  if (unknown === undefined || list === "") return undefined;
  return invalid(
    `${quote(unknown)} is no retry condition; known are ${[...RETRY_CONDITIONS].join(", ")} and status codes.`,
  );
}

function invalid(message: string): Fault {
  return { code: "invalid-value", message };
}
