// The filter, run in Node, against a plain model of what VirtualService rules say.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import { firstMatch, type SeenRequest } from "../policy/reference.js";
import { request, rules } from "./arbitrary.js";
import { compile, MODULE } from "./traffic-envoy.js";

const filter = new TrafficFilter(readFileSync(MODULE));

function headersOf({ method, scheme, authority, path, headers }: SeenRequest) {
  return [[":method", method], [":scheme", scheme], [":authority", authority], [":path", path], ...headers] as const;
}

function expectAgreement(generated: Parameters<typeof firstMatch>[0], requests: readonly SeenRequest[]): void {
  const compiled = compile(generated);
  for (const asked of requests) {
    const expected = firstMatch(generated, asked);
    const decision = filter.decide(compiled, headersOf(asked), { now: 0, random: 1n });
    expect({ rule: decision.ruleIndex, match: decision.matchIndex }, JSON.stringify(asked)).toEqual({
      rule: expected?.rule,
      match: expected?.match,
    });
    expect(decision.route).toBe(expected && `rule-${expected.rule}`);
  }
}

function requests(count: number) {
  return fc.array(request, { minLength: count, maxLength: count });
}

test("Few rules match as the model says", () => {
  fc.assert(fc.property(rules(1, 6), requests(12), expectAgreement), { seed: 5, numRuns: 400, endOnFailure: true });
});

test("Many rules, which are found by several keys at once, match as the model says", () => {
  fc.assert(fc.property(rules(60, 120, 1), requests(40), expectAgreement), {
    seed: 6,
    numRuns: 40,
    endOnFailure: true,
  });
});
