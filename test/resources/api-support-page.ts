// Makes docs/api-support.md: the schemas' own list of fields, with the behaviour test that covers each.
import { type FieldSupport, listSupport } from "../../controlplane/resources/support.js";
import { readCoverage } from "../harness/coverage.js";
import { DEVIATIONS } from "./deviations.js";

interface Row extends FieldSupport {
  /** Below spec. */
  readonly field: string;
  readonly test: string | undefined;
}

/** Fields that stand in several places with one schema, decoder and translation: they are listed and tested in one. */
const SAME: readonly { readonly kind: string; readonly from: RegExp; readonly as: string; readonly to: string }[] = [
  { kind: "DestinationRule", from: /^subsets\[\]\.trafficPolicy\./, as: "DestinationRule", to: "trafficPolicy." },
  {
    kind: "DestinationRule",
    from: /^trafficPolicy\.portLevelSettings\[\]\.(?!port\b)/,
    as: "DestinationRule",
    to: "trafficPolicy.",
  },
  { kind: "Sidecar", from: /^ingress\[\]\.tls\./, as: "Gateway", to: "servers[].tls." },
  {
    kind: "Sidecar",
    from: /^(?:ingress\[\]\.connectionPool|inboundConnectionPool)\./,
    as: "DestinationRule",
    to: "trafficPolicy.connectionPool.",
  },
  { kind: "WorkloadGroup", from: /^template\./, as: "WorkloadEntry", to: "" },
];

const INTRODUCTION = `# Istio's API, field by field

Made by \`npm run docs:api\` from the schemas that objects are held against, and from what the tests in \`test/behaviour/\`
say they cover; a test fails while this page is not what the command gives. Paths are those below \`spec\`: \`[]\` stands for
each entry of a list, \`{}\` for each value of a map.

- **works**: has its documented effect. The test named sends traffic through real Envoys.
- **deprecated**: works, with a warning that names the successor.
- **refused**: known, and an error of the code [unsupported-field](messages/unsupported-field.md).

A field that is not here is an error of the code [unknown-field](messages/unknown-field.md).

These fields have the same fields, by the same code, as those they point to, and are listed there once:

- \`DestinationRule subsets[].trafficPolicy\`, and each \`portLevelSettings[]\`: \`DestinationRule trafficPolicy\`
- \`Sidecar ingress[].tls\`: \`Gateway servers[].tls\`
- \`Sidecar ingress[].connectionPool\` and \`inboundConnectionPool\`: \`DestinationRule trafficPolicy.connectionPool\`
- \`WorkloadGroup template\`: \`WorkloadEntry\`
`;

/** The page's text; \`root\` is the repository's. */
export function apiSupportPage(root: string): string {
  const rows = supportRows(root);
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  const tables = kinds.map((kind) => tableOf(kind, rows));
  const deviations = DEVIATIONS.map(({ subject, says, reason }) => `- **${subject}.** ${says} ${reason}\n`);
  return [INTRODUCTION, `## Deviations from Istio\n\n${deviations.join("")}`, ...tables].join("\n");
}

/** Fields of Istio's users that are said to work and that no behaviour test covers, each as KIND FIELD. */
export function untestedFields(root: string): readonly string[] {
  return supportRows(root)
    .filter(({ support, test }) => support?.status === "works" && support.tier !== "rare" && test === undefined)
    .map(({ kind, field }) => `${kind} ${field}`);
}

/** Each field once, in the order of the schemas. */
function supportRows(root: string): readonly Row[] {
  const coverage = readCoverage(root).map((found) => ({ ...found, at: canonical(found.kind, found.field) }));
  return listSupport().flatMap((support) => {
    const field = support.path.slice("spec.".length);
    const at = canonical(support.kind, field);
    if (at !== `${support.kind} ${field}`) return [];
    const found = coverage.find((one) => one.at === at) ?? coverage.find((one) => isWithin(one.at, at));
    return [{ ...support, field, test: found?.test }];
  });
}

/** What shows a field's effect shows that of the fields it stands in. */
function isWithin(field: string, outer: string): boolean {
  return field.startsWith(outer) && /^(?:\[\]|\{\}|\.)/.test(field.slice(outer.length));
}

function canonical(kind: string, field: string): string {
  return SAME.reduce(
    ([at, path], { kind: own, from, as, to }) =>
      at === own && from.test(path) ? ([as, path.replace(from, to)] as const) : ([at, path] as const),
    [kind, field] as readonly [string, string],
  ).join(" ");
}

function tableOf(kind: string, rows: readonly Row[]): string {
  const lines = rows
    .filter((row) => row.kind === kind)
    .map(({ field, support, test }) => {
      const works = support?.status === "works";
      const status = support?.successor === undefined ? support?.status : `deprecated: write ${support.successor}`;
      const shown = works ? (test ?? (support.tier === "rare" ? "" : "none yet")) : "";
      return `| \`${field}\` | ${support?.tier} | ${status} | ${shown.replaceAll("|", "\\|")} |\n`;
    });
  return `## ${kind}\n\n| field | tier | status | behaviour test |\n| --- | --- | --- | --- |\n${lines.join("")}`;
}
