// Why a request is decided as it is, said by the module itself.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { FilterRequest } from "../../controlplane/wasm-host/request.js";
import { type Explanation, TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import { compile, exact, MODULE, match, prefix, present, regex, rule } from "./traffic-envoy.js";

const filter = new TrafficFilter(readFileSync(MODULE));
const policy = compile([
  rule("jason", match({ headers: new Map([["end-user", exact("jason")]]) })),
  rule("two", match({ uri: prefix("/api"), method: exact("POST") }), match({ uri: regex("/v[0-9]+/.*") })),
  rule("query", match({ queryParams: new Map([["debug", present]]), withoutHeaders: new Map([["x-no", present]]) })),
  {
    matches: [],
    destinations: [
      { route: "a", weight: 1 },
      { route: "b", weight: 0 },
    ],
  },
]);

function explain(request: Partial<FilterRequest>): Explanation {
  const whole = { method: "GET", scheme: "http", authority: "a.example", path: "/", headers: [], ...request };
  const explained = filter.explain(policy, whole, { now: 0, random: 1n });
  if ("error" in explained) throw new Error(explained.error);
  return explained;
}

test("The rule that matched is named, and its alternative and destination", () => {
  expect(explain({ path: "/v1/x" })).toMatchObject({ route: "two", ruleIndex: 1, matchIndex: 1, destinationIndex: 0 });
  const last = explain({});
  expect(last).toMatchObject({ route: "a", ruleIndex: 3, destinationIndex: 0 });
  expect(last.matchIndex).toBeUndefined();
});

test("Each earlier alternative says what it wanted and what it found", () => {
  const { rejected } = explain({
    path: "/api/x?x=1",
    headers: [
      ["End-User", "anna"],
      ["End-User", "bert"],
      ["x-no", ""],
    ],
  });
  expect(rejected.map(({ ruleIndex, matchIndex, because }) => `${ruleIndex}.${matchIndex} ${because}`)).toEqual([
    '0.0 headers.end-user must be exactly "jason"; the request has "anna, bert"',
    '1.0 method must be exactly "POST"; the request has "GET"',
    '1.1 uri must match "/v[0-9]+/.*"; the request has "/api/x"',
    "2.0 queryParams.debug must be there; the request has none",
  ]);
  expect(explain({ path: "/?debug", headers: [["x-no", "1"]] }).rejected.at(-1)?.because).toBe(
    'withoutHeaders.x-no must not be there; the request has "1"',
  );
});

test("Nothing after the rule that matched is said to be rejected", () => {
  expect(explain({ headers: [["end-user", "jason"]] }).rejected).toEqual([]);
});

test("The path is explained as Envoy will have it", () => {
  expect(explain({ path: "/x/..//api", method: "POST" })).toMatchObject({
    route: "two",
    path: "/api",
    redirected: false,
  });
  expect(explain({ path: "/%2fapi", method: "POST" })).toMatchObject({ route: "two", path: "/api", redirected: true });
});

test("A request that Envoy answers by itself is no request to decide", () => {
  const request = { method: "GET", scheme: "http", authority: "a.example", path: "/%00", headers: [] };
  expect(filter.explain(policy, request, { now: 0, random: 0n })).toMatchObject({
    error: expect.stringContaining("400"),
  });
});
