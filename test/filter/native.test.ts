// The filter in a real Envoy against Envoy's own routes: each generated policy twice, once for each of them.
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import type { HttpMatch, StringMatch } from "../../controlplane/resources/virtual-service.js";
import { testScope } from "../harness/scope.js";
import { request, rules } from "./arbitrary.js";
import { nativeHost } from "./native-routes.js";
import { sendRaw } from "./raw-request.js";
import { ruledHost, startTrafficEnvoy, type TrafficEnvoy } from "./traffic-envoy.js";

const scope = testScope();
const POLICIES = 40;
const policies: PolicyRule[][] = [
  ...fc.sample(rules(1, 8), { seed: 8, numRuns: POLICIES - 5 }),
  ...fc.sample(rules(60, 90, 1), { seed: 9, numRuns: 5 }),
].map(expressible);
let envoy: TrafficEnvoy;

/** What both can say: no authority, because the host tells the two apart, and no doubt about headers that are absent. */
function expressible(generated: PolicyRule[]): PolicyRule[] {
  const adapt = ({ authority: _, ...match }: HttpMatch): HttpMatch => ({
    ...match,
    withoutHeaders: new Map([...match.withoutHeaders].filter(([, string]) => !takesEmpty(string))),
  });
  const catchAll = { matches: [], destinations: [{ route: "none", weight: 1 }] };
  return [...generated.map((rule) => ({ ...rule, matches: rule.matches.map(adapt) })), catchAll];
}

function takesEmpty(string: StringMatch): boolean {
  return string.type !== "present" && (string.value === "" || string.value === ".*");
}

beforeAll(async () => {
  envoy = await startTrafficEnvoy(
    scope,
    policies.flatMap((policy, i) => [
      ruledHost(`ruled-${i}`, [`ruled-${i}.example`], policy),
      nativeHost(`native-${i}`, [`native-${i}.example`], policy),
    ]),
  );
});

test("Every generated request takes the same route by the filter as by Envoy's own list", async () => {
  const requests = fc.sample(request, { seed: 10, numRuns: 50 });
  const taken = new Set<string>();
  for (const i of policies.keys())
    for (const { method, path, headers } of requests) {
      const ask = async (kind: string) => {
        const answer = await sendRaw(envoy.url, method, path, [["Host", `${kind}-${i}.example`], ...headers]);
        return { status: answer.status, route: answer.field("x-route") };
      };
      const [ruled, native] = [await ask("ruled"), await ask("native")];
      expect({ i, method, path, headers, ...ruled }).toEqual({ i, method, path, headers, ...native });
      taken.add(`${i} ${native.route}`);
    }
  // Not all of it can be catch-alls.
  expect(taken.size).toBeGreaterThan(2 * POLICIES);
});
