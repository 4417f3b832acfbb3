// `headgate filter use|status|rollback|history`: which proxies run which version.
import { FilterRegistry, parseReference } from "../registry/registry.js";
import { counts, type Rollout, type RolloutPlan } from "../rollout/plan.js";
import type { VersionCount } from "../rollout/version-counts.js";
import type { FilterView } from "../rollout/view.js";
import { readAdmin } from "./admin-client.js";
import { type CommandDefinition, exitCode, type OptionValues } from "./command.js";
import {
  actor,
  BY_OPTION,
  OUTPUT_OPTION,
  STORAGE_OPTIONS,
  tellFault,
  tellUsage,
  withFilters,
  writeRows,
} from "./filter-options.js";
import { type Read, readDuration, readPairs } from "./flag-values.js";
import { progressText, rolloutText } from "./rollout-text.js";
import { table } from "./table.js";

export const filterUseCommand: CommandDefinition = {
  name: "filter use",
  summary: "roll a version out over the proxies, step by step while it does well",
  description:
    "A filter other than headgate.traffic reaches the proxies where a WasmPlugin or TrafficExtension names it by\n" +
    "url: headgate://NAME. The control plane that follows the registry does the work, and takes the version back by itself when a proxy\n" +
    "rejects it, its VM fails, its Envoy falls silent or restarts, or more requests fail or are slow than elsewhere.\n\n" +
    "Example:\n  headgate filter use headgate.traffic@1.2.0 --step 10%,50%,100% --hold 30s",
  arguments: [{ name: "filter@version", summary: "as in headgate.traffic@1.2.0", required: true }],
  options: [
    { flags: "--proxies <k=v,...>", summary: "only proxies with these labels" },
    { flags: "--canary <percent>", summary: "the first step" },
    { flags: "--step <percent,...>", summary: "the steps; the last is 100% (default: 10%,50%,100%)" },
    { flags: "--hold <duration>", summary: "how long each step must do well", default: "30s" },
    BY_OPTION,
    ...STORAGE_OPTIONS,
  ],

  async run([text = ""], options, io) {
    const parsed = parseReference(text);
    if ("fault" in parsed) return tellFault(this.name, parsed.fault, io);
    const { name, version } = parsed.value;
    const settings = readSettings(options);
    if ("error" in settings) return tellUsage(this.name, settings.error, io);
    return withFilters(this.name, options, io, async ({ versions, rollouts }) => {
      const shown = await new FilterRegistry(versions).show(name, version);
      if ("fault" in shown) return tellFault(this.name, shown.fault, io);
      const active = (await rollouts.list()).find((rollout) => counts(rollout) && rollout.state?.phase !== "completed");
      if (active) {
        const message = `${rolloutText(active)}; let it end, or take it back with headgate filter rollback`;
        return tellFault(this.name, { code: "filter-in-use", message }, io);
      }
      const at = new Date().toISOString();
      const { sha256 } = shown.value;
      const by = actor(options, io);
      const plan = await rollouts.create({ filter: name, version, sha256, ...settings.value, at, by });
      const steps = plan.steps.map((step) => `${100 * step}%`).join(", ");
      io.stdout.write(`rollout ${plan.id} of ${text}: ${steps}, each for ${plan.holdMillis / 1000} s\n`);
      return exitCode.ok;
    });
  },
};

export const filterStatusCommand: CommandDefinition = {
  name: "filter status",
  summary: "show which version each proxy runs, and how far the rollout is",
  options: [
    { flags: "--admin <host:port>", summary: "the control plane's admin", default: "127.0.0.1:15014" },
    OUTPUT_OPTION,
  ],

  async run(_args, options, io) {
    const read = await readAdmin(String(options.admin), "/filters");
    if ("error" in read) {
      io.stderr.write(`headgate filter status: ${read.error}\n`);
      return read.code;
    }
    if (options.output === "json") {
      io.stdout.write(`${JSON.stringify(read.value, null, 2)}\n`);
      return exitCode.ok;
    }
    const { filter, proxies, others, elsewhere, rollouts } = read.value as FilterView;
    const [newest] = rollouts;
    if (newest) io.stdout.write(`${rolloutText(newest)}\n`);
    io.stdout.write(
      table(
        ["FILTER", "PROXY", "RUNS", "SHOULD RUN"],
        [{ filter, proxies }, ...others].flatMap((of) =>
          of.proxies.map(({ id, running, assigned }) => [of.filter, id, running, assigned]),
        ),
      ),
    );
    if (elsewhere.length === 0) return exitCode.ok;
    const row = ({ filter, proxies, running, assigned }: VersionCount) => [filter, `${proxies}`, running, assigned];
    io.stdout.write("\nunder other replicas of the control plane:\n");
    io.stdout.write(table(["FILTER", "PROXIES", "RUN", "SHOULD RUN"], elsewhere.map(row)));
    return exitCode.ok;
  },
};

export const filterRollbackCommand: CommandDefinition = {
  name: "filter rollback",
  summary: "take back the newest rollout, under way or completed",
  options: [BY_OPTION, ...STORAGE_OPTIONS],

  async run(_args, options, io) {
    return withFilters(this.name, options, io, async ({ rollouts }) => {
      const newest = (await rollouts.list()).findLast(counts);
      if (!newest) return tellUsage(this.name, "there is no rollout to take back", io);
      await rollouts.requestRollback(newest.plan.id, actor(options, io));
      io.stdout.write(`rollout ${newest.plan.id} of ${newest.plan.filter}@${newest.plan.version} goes back\n`);
      return exitCode.ok;
    });
  },
};

export const filterHistoryCommand: CommandDefinition = {
  name: "filter history",
  summary: "list the rollouts, the newest first, and what became of them",
  options: [...STORAGE_OPTIONS, OUTPUT_OPTION],

  async run(_args, options, io) {
    return withFilters(this.name, options, io, async (storage) => {
      const rollouts = (await storage.rollouts.list()).toReversed();
      const row = (rollout: Rollout) => {
        const { id, filter, version, at, by } = rollout.plan;
        return [id, `${filter}@${version}`, at, by, progressText(rollout)];
      };
      writeRows(options, io, ["ROLLOUT", "VERSION", "ASKED FOR", "BY", "STATE"], rollouts, row);
      return exitCode.ok;
    });
  },
};

type Settings = Pick<RolloutPlan, "selector" | "steps" | "holdMillis">;

function readSettings(options: OptionValues): Read<Settings> {
  const selector = readPairs("--proxies", String(options.proxies ?? ""));
  if ("error" in selector) return selector;
  const hold = readDuration("--hold", String(options.hold));
  if ("error" in hold) return hold;
  const canary = options.canary === undefined ? [] : [String(options.canary)];
  const given = options.step === undefined ? (canary.length > 0 ? "100%" : "10%,50%,100%") : String(options.step);
  const steps = [...canary, ...given.split(",")].map(
    (text) => Number(/^(\d+(?:\.\d+)?)%?$/.exec(text.trim())?.[1]) / 100,
  );
  if (steps.at(-1) !== 1) steps.push(1);
  const grows = steps.every((step, i) => step > (steps[i - 1] ?? 0) && step <= 1);
  if (!grows) return { error: "the steps must be percentages that grow up to 100%, as in --step 10%,50%,100%" };
  return { value: { selector: selector.value, steps, holdMillis: hold.value } };
}
