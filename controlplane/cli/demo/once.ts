// `headgate demo --once`: every scenario in turn on the running system, and a table of what was seen.
import { table } from "../table.js";
import { AppliedPolicies, intoDirectory } from "./applied-policies.js";
import type { Mesh } from "./mesh.js";
import { filterVersions } from "./scenarios/filters.js";
import { egressScope, external, gatewayTls } from "./scenarios/reach.js";
import { delays, maxConnections, retries } from "./scenarios/resilience.js";
import { byUri, byUser, loadBalancing, split } from "./scenarios/routing.js";
import type { Observation, Scenario } from "./scenarios/scenario.js";

/** One for each file of example policies. */
export const SCENARIOS: readonly Scenario[] = [
  byUser,
  byUri,
  split,
  loadBalancing,
  gatewayTls,
  external,
  egressScope,
  retries,
  maxConnections,
  delays,
];

const ALL: readonly Scenario[] = [...SCENARIOS, filterVersions];

export interface ScenarioResult {
  readonly title: string;
  readonly observations: readonly Observation[];
}

/** Runs the scenarios until the signal aborts; a scenario that cannot be carried out has not held. */
export async function runScenarios(
  mesh: Mesh,
  policies: string,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<readonly ScenarioResult[]> {
  const applied = new AppliedPolicies(mesh, intoDirectory(policies));
  const results: ScenarioResult[] = [];
  for (const { title, run } of ALL) {
    if (signal.aborted) break;
    onProgress(title);
    const apply = (...files: readonly string[]) => applied.replace(files);
    const observations = await run({ mesh, apply }).catch((error: Error): Observation[] => [
      { expected: "to be carried out", observed: error.message, requests: 0, held: false },
    ]);
    results.push({ title, observations });
  }
  return results;
}

/** True only if every scenario was run and everything expected was seen. */
export function allHeld(results: readonly ScenarioResult[]): boolean {
  return results.length === ALL.length && results.every(({ observations }) => observations.every((one) => one.held));
}

export function resultTable(results: readonly ScenarioResult[]): string {
  const rows = results.flatMap(({ title, observations }) =>
    observations.map(({ expected, observed, requests, held }, i) => [
      i === 0 ? title : "",
      expected,
      observed,
      requests > 0 ? String(requests) : "",
      held ? "held" : "NOT HELD",
    ]),
  );
  return table(["SCENARIO", "EXPECTED", "OBSERVED", "REQUESTS", ""], rows);
}
