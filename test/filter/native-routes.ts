// Rules -> Envoy's own route list, for what both can say: the judge of whether the filter matches as Envoy does.
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import type { HttpMatch, StringMatch } from "../../controlplane/resources/virtual-service.js";

/** A virtual host whose routes answer 200 with the route's id in header x-route. No rule may match on authority. */
export function nativeHost(name: string, domains: readonly string[], rules: readonly PolicyRule[]): object {
  const routes = rules.flatMap(({ matches, destinations }) => {
    const alternatives = matches.length === 0 ? [{ prefix: "/" }] : matches.map(routeMatch);
    return alternatives.map((match) => ({ match, ...answerWithRoute(destinations[0]?.route ?? "") }));
  });
  return { name, domains, routes };
}

function answerWithRoute(id: string): object {
  return {
    direct_response: { status: 200 },
    response_headers_to_add: [{ header: { key: "x-route", value: id } }],
  };
}

function routeMatch(match: HttpMatch): object {
  return {
    ...pathMatch(match.uri, match.ignoreUriCase),
    headers: [
      ...(match.method ? [headerMatch(":method", match.method)] : []),
      ...(match.scheme ? [headerMatch(":scheme", match.scheme)] : []),
      ...[...match.headers].map(([name, string]) => headerMatch(name, string)),
      ...[...match.withoutHeaders].map(([name, string]) => ({
        ...headerMatch(name, string),
        invert_match: true,
        treat_missing_header_as_empty: string.type !== "present",
      })),
    ],
    query_parameters: [...match.queryParams].map(([name, string]) => ({
      name,
      ...(string.type === "present" ? { present_match: true } : { string_match: stringMatch(string) }),
    })),
  };
}

function pathMatch(uri: StringMatch | undefined, ignoreCase: boolean): object {
  switch (uri?.type) {
    case "exact":
      return { path: uri.value, case_sensitive: !ignoreCase };
    case "prefix":
      return { prefix: uri.value, case_sensitive: !ignoreCase };
    case "regex":
      return { safe_regex: safeRegex(uri.value) };
    default:
      return { prefix: "/" };
  }
}

function headerMatch(name: string, string: StringMatch): object {
  return { name, ...(string.type === "present" ? { present_match: true } : { string_match: stringMatch(string) }) };
}

function stringMatch(string: StringMatch): object {
  switch (string.type) {
    case "regex":
      return { safe_regex: safeRegex(string.value) };
    case "present":
      return {};
    default:
      // Envoy refuses an empty prefix; everything begins with it.
      return string.type === "prefix" && string.value === ""
        ? { safe_regex: safeRegex("(?s).*") }
        : { [string.type]: string.value };
  }
}

/** Envoy refuses an empty pattern. */
function safeRegex(pattern: string): object {
  return { regex: pattern || "()" };
}
