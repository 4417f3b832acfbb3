// `npm run bench:ads`: the control plane at scale, as its real process, with simulated proxies in another one.
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type ChangeFigures, measureChanges } from "./changes.js";
import { type ChurnFigures, measureChurn } from "./churn.js";
import { type HostileFigures, measureHostile } from "./hostile.js";
import { measureRejected, type RejectedFigures } from "./rejected.js";
import { measureRepoints, type RepointFigures } from "./repoints.js";
import { report } from "./report.js";
import { measureStalled, type StalledFigures } from "./stalled.js";
import { measureStorm, type StormFigures } from "./storm.js";
import { type Target, targets } from "./targets.js";

export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly load: number };
  /** How many runs the figures of the changes are medians of. */
  readonly runs: number;
  readonly changes: readonly ChangeFigures[];
  readonly storm?: StormFigures;
  readonly stalled?: StalledFigures;
  readonly churn?: ChurnFigures;
  readonly repoints?: RepointFigures;
  readonly rejected?: RejectedFigures;
  readonly hostile?: HostileFigures;
}

const USAGE = `npm run bench:ads -- [--services N] [--proxies M] [--namespaces K] [--changes C] [--runs R] [--profile DIR]
    the table: one row of N services x M proxies, or 100, 1,000 and 5,000 x 50; proxies in K namespaces; medians of R runs
  --storm          2,000 streams on 1,000 services come back at once (N and M count here too)
  --stalled        one client that stops reading
  --churn          changes in a row, 100,000 unless --changes says otherwise
  --repoints       repoints of a real Envoy under 1,000 requests/s, 1,000 unless --changes says otherwise
  --rejected       one proxy rejects changes that all are sent
  --hostile        10,000 half-open streams, and requests that are too large, without a node, and no requests at all
  --all            everything, at full size
  --out FILE       the results as JSON
  --check          exit with 1 when a target is missed
`;

const { values } = parseArgs({
  options: {
    services: { type: "string" },
    proxies: { type: "string" },
    namespaces: { type: "string", default: "1" },
    changes: { type: "string" },
    runs: { type: "string", default: "3" },
    profile: { type: "string" },
    storm: { type: "boolean", default: false },
    stalled: { type: "boolean", default: false },
    churn: { type: "boolean", default: false },
    repoints: { type: "boolean", default: false },
    rejected: { type: "boolean", default: false },
    hostile: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    out: { type: "string" },
    check: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) process.stdout.write(USAGE);
else await run();

async function run(): Promise<void> {
  const results = await measure();
  const judged = targets(results);
  process.stdout.write(report(results, judged));
  if (values.out) writeFileSync(values.out, `${JSON.stringify({ ...results, targets: judged }, null, 2)}\n`);
  if (values.check && judged.some((target: Target) => !target.met)) process.exitCode = 1;
}

async function measure(): Promise<Results> {
  const { storm, stalled, churn, repoints, rejected, hostile, all } = values;
  const count = (value: string | undefined, otherwise: number) => (value === undefined ? otherwise : Number(value));
  const size = (services: number, proxies: number) => ({
    services: count(values.services, services),
    proxies: count(values.proxies, proxies),
  });
  const only = storm || stalled || churn || repoints || rejected || hostile;
  const runs = Number(values.runs);
  const rows = all || !only ? (values.services || values.proxies ? [0] : [100, 1_000, 5_000]) : [];
  const changes: ChangeFigures[] = [];
  for (const services of rows) {
    const row = size(services || 1_000, 50);
    say(`${row.services} services, ${row.proxies} proxies`);
    const { profile } = values;
    changes.push(
      await measureChanges(
        {
          ...row,
          namespaces: Number(values.namespaces),
          changes: count(values.changes, 11),
          ...(profile === undefined ? {} : { profileDirectory: resolve(profile) }),
        },
        runs,
      ),
    );
  }
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    node: process.version,
    load: loadavg()[0] ?? 0,
  };
  return {
    machine,
    runs,
    changes,
    ...(storm || all ? { storm: await told("storm", () => measureStorm(size(1_000, 2_000))) } : {}),
    ...(stalled || all
      ? { stalled: await told("stalled client", () => measureStalled({ ...size(1_000, 50), rounds: 10 })) }
      : {}),
    ...(churn || all
      ? {
          churn: await told("churn", () => measureChurn({ ...size(500, 20), changes: count(values.changes, 100_000) })),
        }
      : {}),
    ...(repoints || all
      ? { repoints: await told("repoints", () => measureRepoints(count(values.changes, 1_000))) }
      : {}),
    ...(rejected || all
      ? { rejected: await told("rejections", () => measureRejected({ ...size(1_000, 50), rounds: 20 })) }
      : {}),
    ...(hostile || all ? { hostile: await told("hostile clients", () => measureHostile(hostileOptions())) } : {}),
  };
}

function hostileOptions() {
  return { services: 100, proxies: 50, halfOpen: 10_000, requests: 100 };
}

function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  say(what);
  return work();
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
