// `npm run bench:on-demand`: a sidecar of a large mesh that is pushed everything, one that is scoped, and one that asks for
// what it uses. docs/decisions/0020 says what was decided by it.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { table } from "../../controlplane/cli/table.js";
import { loopbackAddress } from "../../test/harness/addresses.js";
import { startBackend } from "../../test/harness/backend.js";
import { createScope } from "../../test/harness/scope.js";
import { writeServices } from "../ads/services.js";
import { FORMS } from "./forms.js";
import { type FormFigures, measureForm } from "./measurement.js";

const MB = 1_000_000;

const { values } = parseArgs({
  options: {
    services: { type: "string", default: "5000" },
    used: { type: "string", default: "20" },
    unknown: { type: "string", default: "2000" },
    form: { type: "string" },
    out: { type: "string" },
  },
});

const scope = createScope();
const results: FormFigures[] = [];
try {
  const directory = await scope.directory();
  const backends = [await startBackend(scope, "v1"), await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  const [one, two, three] = backends.map(({ host, port }) => ({ address: host, port }));
  if (!one || !two || !three) throw new Error("a backend is missing");
  await writeServices(directory, Number(values.services), [one, two, three]);
  for (const form of FORMS) {
    if (values.form !== undefined && values.form !== form) continue;
    process.stderr.write(`${form}\n`);
    const used = Number(values.used);
    const options = { directory, address: await loopbackAddress(scope), scope: used + 1, used };
    results.push(await measureForm(form, { ...options, unknown: Number(values.unknown) }));
  }
} finally {
  await scope.close();
}
process.stdout.write(describe(results));
if (values.out) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`);

function describe(figures: readonly FormFigures[]): string {
  const memory = ({ rss, allocated }: FormFigures["memoryAtStart"]) =>
    `${(rss / MB).toFixed(0)} MB, ${(allocated / MB).toFixed(1)} MB`;
  const rows: [string, (figure: FormFigures) => string][] = [
    ["READY AFTER, ENVOY'S CPU", (one) => `${seconds(one.readyMillis)}, ${seconds(one.readyCpuMillis)}`],
    ["RSS AND ALLOCATED", (one) => memory(one.memoryAtStart)],
    [`WITH ${values.used} HOSTS USED`, (one) => memory(one.memoryWithUsed)],
    [`AND ${values.unknown} UNKNOWN ONES`, (one) => memory(one.memoryWithUnknown)],
    ["FIRST REQUEST, NEXT", (one) => `${one.firstMillis.toFixed(1)} ms, ${one.nextMillis.toFixed(1)} ms`],
    ["UNKNOWN HOST", (one) => `${one.unknownStatus} after ${one.unknownMillis.toFixed(1)} ms`],
    ["CONTROL PLANE AWAY: USED, NEW", (one) => `${one.awayUsed}, ${one.awayNew}`],
    ["BACK: USED, NEW", (one) => `${one.backUsed}, ${one.backNew}`],
  ];
  return table(
    [`${values.services} SERVICES`, ...figures.map(({ form }) => form.toUpperCase())],
    rows.map(([name, show]) => [name, ...figures.map(show)]),
  );
}

function seconds(millis: number): string {
  return `${(millis / 1000).toFixed(2)} s`;
}
