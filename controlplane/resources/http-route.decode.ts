// Decodes one HTTP rule of a VirtualService: where requests go and what happens to them on the way.
import { atMostOne, exactlyOne, listOf, maybe, millis, namesOfSet, nonEmpty, optional, present } from "./fields.js";
import { decodeFault } from "./http-fault.decode.js";
import { decodeHeaderOperations, reportAuthorityTwice } from "./http-headers.decode.js";
import { decodeHttpMatch, decodeStringMatch } from "./http-match.decode.js";
import { decodeDestination, reportWeights, weightOf } from "./l4-route.decode.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type {
  CorsPolicy,
  HttpDirectResponse,
  HttpMirror,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  HttpRoute,
  HttpRouteDestination,
} from "./virtual-service.js";
import type {
  RawCorsPolicy,
  RawHttpDirectResponse,
  RawHttpRedirect,
  RawHttpRetry,
  RawHttpRewrite,
  RawHttpRoute,
} from "./virtual-service.schema.js";

const ACTIONS = ["route", "redirect", "directResponse", "delegate"];
const REDIRECT_CODES = [301, 302, 303, 307, 308];
/** Bytes. */
const LARGEST_BODY = 1_048_576;

export function decodeHttpRoute(raw: RawHttpRoute, path: FieldPath, report: Report): HttpRoute {
  reportActions(raw, path, report);
  reportAuthorityTwice(raw.rewrite?.authority, raw.headers, path, report);
  return present({
    name: nonEmpty(raw.name),
    match: (raw.match ?? []).map((match, index) => decodeHttpMatch(match, [...path, "match", index], report)),
    route: decodeRouteDestinations(raw, [...path, "route"], report),
    redirect: maybe(raw.redirect, (redirect) => decodeRedirect(redirect, [...path, "redirect"], report)),
    directResponse: maybe(raw.directResponse, (response) =>
      decodeDirectResponse(response, [...path, "directResponse"], report),
    ),
    delegate: maybe(raw.delegate, ({ name, namespace }) =>
      present({ name: name ?? "", namespace: nonEmpty(namespace) }),
    ),
    rewrite: maybe(raw.rewrite, (rewrite) => decodeRewrite(rewrite, [...path, "rewrite"], report)),
    timeoutMs: millis(raw.timeout),
    retries: maybe(raw.retries, (retries) => decodeRetries(retries, [...path, "retries"], report)),
    fault: maybe(raw.fault, (fault) => decodeFault(fault, [...path, "fault"], report)),
    mirrors: decodeMirrors(raw, path, report),
    corsPolicy: maybe(raw.corsPolicy, (policy) => decodeCorsPolicy(policy, [...path, "corsPolicy"], report)),
    headers: maybe(raw.headers, decodeHeaderOperations),
  });
}

function reportActions(raw: RawHttpRoute, path: FieldPath, report: Report): void {
  // An empty list of destinations is as good as none.
  const written = raw.route?.length === 0 ? { ...raw, route: null } : raw;
  exactlyOne(written, ACTIONS, path, report);
  for (const action of namesOfSet(raw, ["redirect", "directResponse"])) {
    for (const other of namesOfSet(raw, ["fault", "rewrite"])) {
      const message = `${other} has no effect on a rule with ${action}; remove one of them.`;
      report.error("conflicting-fields", [...path, other], message);
    }
  }
  atMostOne(raw, ["mirror", "mirrors"], path, report);
  atMostOne(raw, ["mirrorPercentage", "mirrorPercent"], path, report);
}

function decodeRouteDestinations(raw: RawHttpRoute, path: FieldPath, report: Report): readonly HttpRouteDestination[] {
  const destinations = raw.route ?? [];
  reportWeights(destinations, path, report);
  return destinations.map((entry, index) => {
    reportAuthorityTwice(undefined, entry.headers, [...path, index], report);
    return present({
      destination: decodeDestination(entry.destination ?? {}),
      weight: weightOf(entry.weight, destinations.length),
      headers: maybe(entry.headers, decodeHeaderOperations),
    });
  });
}

function decodeRedirect(raw: RawHttpRedirect, path: FieldPath, report: Report): HttpRedirect {
  const targets = ["uri", "authority", "port", "derivePort", "scheme"];
  if (report.sound(path) && namesOfSet(raw, targets).length === 0) {
    report.error("missing-field", path, `A redirect needs one of ${targets.join(", ")}.`);
  }
  atMostOne(raw, ["port", "derivePort"], path, report);
  const redirectCode = raw.redirectCode || 301;
  if (!REDIRECT_CODES.includes(redirectCode)) {
    const message = `${redirectCode} is no redirect that Envoy sends; use one of ${REDIRECT_CODES.join(", ")}.`;
    report.error("invalid-value", [...path, "redirectCode"], message);
  }
  return present({
    uri: nonEmpty(raw.uri),
    authority: nonEmpty(raw.authority),
    port: optional(raw.port),
    derivePort: optional(raw.derivePort),
    scheme: optional(raw.scheme),
    redirectCode,
  });
}

function decodeDirectResponse(raw: RawHttpDirectResponse, path: FieldPath, report: Report): HttpDirectResponse {
  return present({
    status: raw.status ?? 200,
    body: maybe(raw.body, (body) => {
      exactlyOne(body, ["string", "bytes"], [...path, "body"], report);
      const bytes = maybe(body.bytes, (text) => Buffer.from(text, "base64"));
      if (bytes !== undefined && bytes.toString("base64").replace(/=+$/, "") !== body.bytes?.replace(/=+$/, "")) {
        report.error("invalid-value", [...path, "body", "bytes"], "The bytes are not base64.");
      }
      if (Math.max(bytes?.length ?? 0, Buffer.byteLength(body.string ?? "")) > LARGEST_BODY) {
        report.error("invalid-value", [...path, "body"], "The body is larger than 1 MiB.");
      }
      return bytes === undefined ? { string: body.string ?? "" } : { bytes: new Uint8Array(bytes) };
    }),
  });
}

function decodeRewrite(raw: RawHttpRewrite, path: FieldPath, report: Report): HttpRewrite {
  const ways = ["uri", "authority", "uriRegexRewrite"];
  if (report.sound(path) && namesOfSet(raw, ways).length === 0) {
    report.error("missing-field", path, `A rewrite needs one of ${ways.join(", ")}.`);
  }
  atMostOne(raw, ["uri", "uriRegexRewrite"], path, report);
  return present({
    uri: nonEmpty(raw.uri),
    authority: nonEmpty(raw.authority),
    uriRegexRewrite: maybe(raw.uriRegexRewrite, ({ match, rewrite }) => ({
      match: match ?? "",
      rewrite: rewrite ?? "",
    })),
  });
}

function decodeRetries(raw: RawHttpRetry, path: FieldPath, report: Report): HttpRetry {
  const others = namesOfSet(raw, ["perTryTimeout", "retryOn", "retryRemoteLocalities", "backoff"]);
  if (raw.attempts === 0 && others.length > 0) {
    const message = `attempts: 0 switches retries off, so ${others.join(" and ")} cannot be set.`;
    report.error("conflicting-fields", [...path, others[0] as string], message);
  }
  return present({
    attempts: raw.attempts ?? 0,
    perTryTimeoutMs: millis(raw.perTryTimeout),
    retryOn: nonEmpty(raw.retryOn),
    retryRemoteLocalities: optional(raw.retryRemoteLocalities),
    retryIgnorePreviousHosts: optional(raw.retryIgnorePreviousHosts),
    backoffMs: millis(raw.backoff),
  });
}

/** mirror with its percentage, or mirrors. */
function decodeMirrors(raw: RawHttpRoute, path: FieldPath, report: Report): readonly HttpMirror[] {
  const mirrors = (raw.mirrors ?? []).map((mirror) => ({
    destination: decodeDestination(mirror.destination ?? {}),
    percentage: mirror.percentage?.value ?? (mirror.percentage == null ? 100 : 0),
  }));
  if (raw.mirror != null) {
    const percentage = raw.mirrorPercentage == null ? (raw.mirrorPercent ?? 100) : (raw.mirrorPercentage.value ?? 0);
    return [{ destination: decodeDestination(raw.mirror), percentage }, ...mirrors];
  }
  for (const name of namesOfSet(raw, ["mirrorPercentage", "mirrorPercent"])) {
    report.warning("ignored-field", [...path, name], `${name} belongs to mirror, which is not set.`);
  }
  return mirrors;
}

function decodeCorsPolicy(raw: RawCorsPolicy, path: FieldPath, report: Report): CorsPolicy {
  atMostOne(raw, ["allowOrigins", "allowOrigin"], path, report);
  const origins = (raw.allowOrigins ?? []).map((match, index) => {
    const at = [...path, "allowOrigins", index];
    if (match.exact === "" || match.prefix === "") report.error("invalid-value", at, "The origin is empty.");
    return decodeStringMatch(match, at, report);
  });
  const deprecatedOrigins = (raw.allowOrigin ?? []).map((value) => ({ type: "exact", value }) as const);
  const preflights = raw.unmatchedPreflights;
  return present({
    allowOrigins: [...origins, ...deprecatedOrigins],
    allowMethods: listOf(raw.allowMethods),
    allowHeaders: listOf(raw.allowHeaders),
    exposeHeaders: listOf(raw.exposeHeaders),
    maxAgeMs: millis(raw.maxAge),
    allowCredentials: optional(raw.allowCredentials),
    unmatchedPreflights: preflights === "UNSPECIFIED" ? undefined : optional(preflights),
  });
}
