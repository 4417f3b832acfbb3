// `headgate diff`: what applying directories would change, for each proxy and resource, before it is applied.
import { resolve } from "node:path";
import { stringify } from "yaml";
import type { TranslationSettings, TranslationView } from "../admin/answers.js";
import { buildMesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { type Change, compare, type ShownChange, show } from "./diff/compare.js";
import { faultyKeys, type Objects, readNodes, readObjects } from "./diff/inputs.js";
import { AdminFault, AdminSide, type Side, TranslatedSide } from "./diff/sides.js";
import { changeText, summaryText } from "./diff/text.js";
import { findProxy } from "./find-proxy.js";
import type { Read } from "./flag-values.js";
import { printable } from "./printable.js";
import { violationJson, violationText } from "./violation-text.js";

export const diffCommand: CommandDefinition = {
  name: "diff",
  summary: "show what applying directories would change for each proxy",
  description:
    "Translates the directories as the control plane would, for the proxies that are connected to it, and compares the\n" +
    "outcome with what it has for them now; with --against, with what other directories are translated to. Nothing is\n" +
    "applied. Give all the directories that headgate serve would be given. The violations of the new state are shown,\n" +
    "too; an object with errors changes nothing, since its last good version stays in force.\n\n" +
    "Exits with 0 when nothing would change, with 1 when something would, with 64 when a flag or a directory is wrong and\n" +
    "with 69 when no control plane answers.\n\n" +
    "Examples:\n" +
    "  headgate diff --config ./policies\n" +
    "  headgate diff --config ./new --against ./old --node sidecar~10.0.0.1~app-1.default~default.svc.cluster.local",
  options: [
    { flags: "--config <dir>", summary: "what would be served; several are merged", required: true, repeatable: true },
    { flags: "--admin <host:port>", summary: "the control plane's admin", default: "127.0.0.1:15014" },
    { flags: "--against <dir>", summary: "compare with this directory; several are merged", repeatable: true },
    { flags: "--proxy <proxy>", summary: "only this proxy, of those that are connected", repeatable: true },
    { flags: "--node <id>", summary: "with --against: a proxy with this node id", repeatable: true },
    { flags: "--nodes <file>", summary: "with --against: proxies, as nodes or bootstraps in YAML", repeatable: true },
    { flags: "--namespace <namespace>", summary: "with --against: see headgate serve", default: "default" },
    { flags: "--root-namespace <namespace>", summary: "with --against: see headgate serve", default: "istio-system" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["text", "json", "yaml"], default: "text" },
    { flags: "--full", summary: "show each difference whole" },
  ],

  async run(_args, options, io) {
    const fail = (code: number, error: string) => {
      io.stderr.write(`headgate diff: ${printable(error)}\n`);
      return code;
    };
    try {
      const comparison = await prepare(options, io);
      if ("error" in comparison) return fail(exitCode.usage, comparison.error);
      const { before, after, proxies, violations, notes } = comparison.value;
      for (const note of notes) io.stderr.write(`headgate diff: ${printable(note)}\n`);
      const changes = await compare(before, after, proxies);
      const shown = shownChanges(changes, before, after);
      if (options.output === "text") {
        for (const violation of violations) io.stdout.write(`${printable(violationText(violation))}\n`);
        const colors = io.stdout.isTTY === true && io.env.NO_COLOR === undefined;
        const mostLines = options.full === true ? Number.POSITIVE_INFINITY : MOST_LINES;
        for await (const change of shown) io.stdout.write(changeText(change, { mostLines, colors }));
        io.stdout.write(summaryText(changes, proxies.length));
      } else {
        const result = { violations: violations.map(violationJson), proxies: proxies.length, changes: [] as object[] };
        for await (const change of shown)
          result.changes.push({ ...change, proxies: change.proxies.map(({ id }) => id) });
        io.stdout.write(options.output === "json" ? `${JSON.stringify(result, null, 2)}\n` : yaml(result));
      }
      return changes.length > 0 ? exitCode.failed : exitCode.ok;
    } catch (error) {
      if (error instanceof AdminFault) return fail(error.code, error.message);
      throw error;
    }
  },
};

const MOST_LINES = 60;

const yaml = (value: unknown) => stringify(value, { aliasDuplicateObjects: false, lineWidth: 120 });

async function* shownChanges(changes: readonly Change[], before: Side, after: Side): AsyncGenerator<ShownChange> {
  for (const change of changes) yield await show(change, before, after);
}

interface Comparison {
  readonly before: Side;
  readonly after: TranslatedSide;
  readonly proxies: readonly Proxy[];
  readonly violations: readonly Parameters<typeof violationText>[0][];
  readonly notes: readonly string[];
}

/** Rejects with AdminFault. */
async function prepare(options: OptionValues, io: CommandIo): Promise<Read<Comparison>> {
  const list = (name: string) => (options[name] as readonly string[] | undefined) ?? [];
  const paths = (name: string) => list(name).map((path) => resolve(io.cwd, path));
  const against = paths("against");
  const isOffline = list("node").length + list("nodes").length > 0;
  if (isOffline && against.length === 0) return { error: "--node and --nodes need --against" };
  const given: Read<TranslationView> = isOffline
    ? await offlineView(options, list("node"), paths("nodes"))
    : { value: await new AdminSide(String(options.admin)).ask<TranslationView>("/translation") };
  if ("error" in given) return given;
  const { settings } = given.value;
  const proxies = choose(given.value.proxies, list("proxy"));
  if ("error" in proxies) return proxies;

  const now = await readObjects(paths("config"), settings.defaultNamespace);
  if ("error" in now) return now;
  const faulty = faultyKeys(now.value);
  const after = (resources: Objects["resources"]) => translated(resources, settings);
  if (against.length === 0) {
    const side = await after(now.value.resources);
    const notes = faulty.map((key) => `${key} has errors: if the control plane has a good version of it, that stays`);
    return comparison(new AdminSide(String(options.admin)), side, proxies.value, now.value, notes);
  }
  const old = await readObjects(against, settings.defaultNamespace);
  if ("error" in old) return old;
  const kept = faulty.flatMap((key) => {
    const resource = old.value.resources.get(key);
    return resource ? [[key, resource] as const] : [];
  });
  const side = await after(new Map([...now.value.resources, ...kept]));
  return comparison(await translated(old.value.resources, settings), side, proxies.value, now.value, []);
}

function comparison(
  before: Side,
  after: TranslatedSide,
  proxies: readonly Proxy[],
  objects: Objects,
  notes: readonly string[],
): Read<Comparison> {
  return { value: { before, after, proxies, notes, violations: [...objects.violations, ...after.mesh.violations] } };
}

function translated(resources: Objects["resources"], settings: TranslationSettings): Promise<TranslatedSide> {
  const mesh = buildMesh(resources.values(), { rootNamespace: settings.rootNamespace });
  return TranslatedSide.create(mesh, settings.accessLog);
}

async function offlineView(
  options: OptionValues,
  ids: readonly string[],
  files: readonly string[],
): Promise<Read<TranslationView>> {
  const proxies = await readNodes(ids, files);
  if ("error" in proxies) return proxies;
  const settings = {
    defaultNamespace: String(options.namespace),
    rootNamespace: String(options.rootNamespace),
  };
  return { value: { settings, proxies: proxies.value } };
}

function choose(proxies: readonly Proxy[], wanted: readonly string[]): Read<readonly Proxy[]> {
  if (wanted.length === 0) return { value: proxies };
  const chosen: Proxy[] = [];
  for (const one of wanted) {
    const found = findProxy(proxies, one);
    if ("error" in found) return found;
    chosen.push(found.value);
  }
  return { value: chosen };
}
