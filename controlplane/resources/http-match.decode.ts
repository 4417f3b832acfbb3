// Decodes the conditions of a VirtualService's HTTP rule.
import {
  decodeGateways,
  exactlyOne,
  labelsOf,
  mapOf,
  maybe,
  namesOfSet,
  nonEmpty,
  optional,
  present,
} from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { HttpMatch, StringMatch } from "./virtual-service.js";
import type { RawHttpMatch, RawStringMatch } from "./virtual-service.schema.js";

/** Istio ignores these as header names, because they have fields of their own. */
const FIELDS_OF_THEIR_OWN = new Set(["uri", "scheme", "method", "authority"]);
const WAYS = ["exact", "prefix", "regex"];

export function decodeHttpMatch(raw: RawHttpMatch, path: FieldPath, report: Report): HttpMatch {
  const whole = (name: "uri" | "scheme" | "method" | "authority") =>
    maybe(raw[name], (match) => decodeWhole(match, name, [...path, name], report));
  if (raw.ignoreUriCase === true && raw.uri?.regex != null) {
    report.warning(
      "ignored-field",
      [...path, "ignoreUriCase"],
      "ignoreUriCase is for exact and prefix; begin the regular expression with (?i) instead.",
    );
  }
  return present({
    name: nonEmpty(raw.name),
    uri: whole("uri"),
    ignoreUriCase: raw.ignoreUriCase ?? false,
    scheme: whole("scheme"),
    method: whole("method"),
    authority: whole("authority"),
    headers: decodeHeaders(raw.headers, [...path, "headers"], report),
    withoutHeaders: decodeHeaders(raw.withoutHeaders, [...path, "withoutHeaders"], report),
    queryParams: mapOf(raw.queryParams, (match, name) =>
      decodeValueMatch(match, [...path, "queryParams", name], report),
    ),
    port: optional(raw.port),
    sourceLabels: labelsOf(raw.sourceLabels),
    sourceNamespace: nonEmpty(raw.sourceNamespace),
    gateways: decodeGateways(raw.gateways, [...path, "gateways"], report),
    statPrefix: nonEmpty(raw.statPrefix),
  });
}

/** One of exact, prefix and regex. */
export function decodeStringMatch(raw: RawStringMatch, path: FieldPath, report: Report): StringMatch {
  exactlyOne(raw, WAYS, path, report);
  return comparison(raw);
}

function decodeWhole(raw: RawStringMatch, name: string, path: FieldPath, report: Report): StringMatch {
  // Every path begins with "", so for a uri that is a way to say "all"; elsewhere it is a mistake.
  if (raw.prefix === "" && name !== "uri") reportEmptyPrefix(path, report);
  return decodeStringMatch(raw, path, report);
}

/** Like decodeStringMatch, but none of the three asks for presence. */
function decodeValueMatch(raw: RawStringMatch, path: FieldPath, report: Report): StringMatch {
  if (raw.prefix === "") reportEmptyPrefix(path, report);
  return namesOfSet(raw, WAYS).length === 0 ? { type: "present" } : decodeStringMatch(raw, path, report);
}

function comparison(raw: RawStringMatch): StringMatch {
  if (raw.exact != null) return { type: "exact", value: raw.exact };
  if (raw.prefix != null) return { type: "prefix", value: raw.prefix };
  return { type: "regex", value: raw.regex ?? "" };
}

function reportEmptyPrefix(path: FieldPath, report: Report): void {
  report.error(
    "invalid-value",
    [...path, "prefix"],
    "The prefix is empty; write {} to ask only that the value is there.",
  );
}

function decodeHeaders(
  raw: Readonly<Record<string, RawStringMatch>> | null | undefined,
  path: FieldPath,
  report: Report,
): ReadonlyMap<string, StringMatch> {
  if (raw === null || raw === undefined) return mapOf(raw, comparison);
  const headers = new Map<string, StringMatch>();
  for (const [name, match] of Object.entries(raw)) {
    const lower = name.toLowerCase();
    if (FIELDS_OF_THEIR_OWN.has(lower)) {
      report.warning(
        "ignored-field",
        [...path, name],
        `${name} is no header here; use the match's own field ${lower}.`,
      );
      continue;
    }
    if (headers.has(lower)) {
      report.error("conflicting-fields", [...path, name], `The header ${lower} stands here twice, in different case.`);
    }
    headers.set(lower, match.regex === "*" ? { type: "present" } : decodeValueMatch(match, [...path, name], report));
  }
  return headers;
}
