// A plain model of how VirtualService rules match, written from Istio's documentation; regular expressions by re2js.
import { RE2JS } from "re2js";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import type { HttpMatch, StringMatch } from "../../controlplane/resources/virtual-service.js";

/** A request as Envoy's filters see it. */
export interface SeenRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** The first rule, and the first of its alternatives, that matches. */
export function firstMatch(
  rules: readonly PolicyRule[],
  request: SeenRequest,
): { readonly rule: number; readonly match?: number } | undefined {
  for (const [rule, { matches }] of rules.entries()) {
    if (matches.length === 0) return { rule };
    const match = matches.findIndex((alternative) => allHold(alternative, request));
    if (match >= 0) return { rule, match };
  }
  return undefined;
}

/** Without a port, and without the dot that ends a fully qualified name. */
function hostOf(authority: string): string {
  return authority.replace(/\.?(?::\d+)?$/, "");
}

/** "All conditions inside a single match block have AND semantics." */
function allHold(match: HttpMatch, request: SeenRequest): boolean {
  const [, path = "", query] = /^([^?#]*)(?:\?(.*))?/s.exec(request.path) ?? [];
  const fold = match.ignoreUriCase && match.uri?.type !== "regex";
  return (
    (!match.uri || stringMatches(match.uri, path, fold)) &&
    (!match.scheme || stringMatches(match.scheme, request.scheme)) &&
    (!match.method || stringMatches(match.method, request.method)) &&
    (!match.authority || stringMatches(match.authority, hostOf(request.authority), true)) &&
    [...match.headers].every(([name, string]) => headerMatches(string, request, name)) &&
    [...match.withoutHeaders].every(([name, string]) => !headerMatches(string, request, name)) &&
    [...match.queryParams].every(([name, string]) => stringMatches(string, parameter(query, name)))
  );
}

function stringMatches(match: StringMatch, value: string | undefined, ignoreCase = false): boolean {
  if (value === undefined) return false;
  const fold = (text: string) => (ignoreCase ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text);
  switch (match.type) {
    case "present":
      return true;
    case "exact":
      return fold(value) === fold(match.value);
    case "prefix":
      return fold(value).startsWith(fold(match.value));
    case "regex":
      return RE2JS.compile(match.value, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0).matches(value);
  }
}

/** A header that comes several times matches with any of its values, as Envoy has it. */
function headerMatches(string: StringMatch, request: SeenRequest, name: string): boolean {
  return request.headers.some(([other, value]) => other === name && stringMatches(string, value));
}

function parameter(query: string | undefined, name: string): string | undefined {
  for (const part of query?.split("&") ?? []) {
    const [key = "", ...value] = part.split("=");
    if (key === name) return value.join("=");
  }
  return undefined;
}
