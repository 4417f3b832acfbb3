// Generated policies and requests, from few words, so that they meet often.
import fc from "fast-check";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import type { HttpMatch, StringMatch } from "../../controlplane/resources/virtual-service.js";
import type { SeenRequest } from "../policy/reference.js";

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/A", "/ab", "/b", "/b/1", "/b/12", "/api/v1/x", "/api/v2/y", "/é"];
const WORDS = ["", "a", "b", "ab", "abc", "A", "v1", "v2", "1", "12", "a,b", "é"];
const HOSTS = ["a.example", "b.example", "A.example", "api.b.example"];
const METHODS = ["GET", "POST", "get", "DELETE"];
const HEADERS = ["x-a", "x-b", "x-c", "cookie"];
const PARAMETERS = ["q", "r", "Q"];
const PATH_REGEXES = [
  "/a.*",
  "/b/[0-9]+",
  "/api/v[12]/.*",
  ".*",
  "(?i)/a/?",
  "/(a|b)",
  "",
  "/api/[^/]+/y",
  "^/b$",
  ".*/c",
  "/\\b.*",
];
const WORD_REGEXES = ["a.*", "[a-z]+", "v[0-9]", ".*", "", "(a|b)+", ".*c", "a,b", "(?i)A.*", "\\d+", ".*\\bb"];

function stringMatch(values: readonly string[], regexes: readonly string[]): fc.Arbitrary<StringMatch> {
  const value = fc.constantFrom(...values);
  return fc.oneof(
    { weight: 4, arbitrary: value.map((value) => ({ type: "exact", value }) as const) },
    { weight: 3, arbitrary: value.map((value) => ({ type: "prefix", value }) as const) },
    { weight: 2, arbitrary: fc.constantFrom(...regexes).map((value) => ({ type: "regex", value }) as const) },
  );
}

const word = fc.oneof(
  { weight: 6, arbitrary: stringMatch(WORDS, WORD_REGEXES) },
  { weight: 1, arbitrary: fc.constant({ type: "present" } as const) },
);

function named(names: readonly string[], maxKeys: number): fc.Arbitrary<Map<string, StringMatch>> {
  return fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), word), { maxLength: maxKeys, selector: ([name]) => name })
    .map((entries) => new Map(entries));
}

export const httpMatch: fc.Arbitrary<HttpMatch> = fc.record(
  {
    uri: stringMatch(PATHS, PATH_REGEXES),
    ignoreUriCase: fc.boolean(),
    scheme: fc.constantFrom({ type: "exact", value: "http" } as const, { type: "exact", value: "https" } as const),
    method: stringMatch(METHODS, ["GET|POST", "(?i)get"]),
    authority: stringMatch(HOSTS, ["[ab]\\.example", ".*B.*", "api\\..*"]),
    headers: named(HEADERS, 2),
    withoutHeaders: named(HEADERS, 1),
    queryParams: named(PARAMETERS, 2),
    sourceLabels: fc.constant({}),
    gateways: fc.constant([]),
  },
  { requiredKeys: ["ignoreUriCase", "headers", "withoutHeaders", "queryParams", "sourceLabels", "gateways"] },
);

/** Rules whose only destination is named by the rule's index; none or few of them match everything. */
export function rules(minLength: number, maxLength: number, minMatches = 0): fc.Arbitrary<PolicyRule[]> {
  return fc
    .array(fc.array(httpMatch, { minLength: minMatches, maxLength: 3 }), { minLength, maxLength, size: "max" })
    .map((alternatives) =>
      alternatives.map((matches, i) => ({ matches, destinations: [{ route: `rule-${i}`, weight: 1 }] })),
    );
}

const query = fc
  .array(
    fc.tuple(fc.constantFrom(...PARAMETERS, "z", ""), fc.constantFrom("", "=", "=a", "=ab", "=v1", "=12", "=a=b")),
    { maxLength: 3 },
  )
  .map((parts) => parts.map((part) => part.join("")).join("&"));

export const request: fc.Arbitrary<SeenRequest> = fc.record({
  method: fc.constantFrom(...METHODS),
  scheme: fc.constantFrom("http", "https"),
  authority: fc
    .tuple(fc.constantFrom(...HOSTS), fc.constantFrom("", "", ".", ":80", ".:80"))
    .map((parts) => parts.join("")),
  path: fc
    .tuple(fc.constantFrom(...PATHS), fc.constantFrom("", "", "", "#", "#a"), fc.option(query))
    .map(([path, fragment, query]) => path + fragment + (query === null ? "" : `?${query}`)),
  headers: fc.array(fc.tuple(fc.constantFrom(...HEADERS, "x-z"), fc.constantFrom(...WORDS)), { maxLength: 5 }),
});
