// Every `headgate` command, by the first word of its name. Each is loaded when it is asked for: most of what the others
// need takes longer to load than a short command takes to run.
import type { CommandDefinition } from "./command.js";

type Load = () => Promise<readonly CommandDefinition[]>;

/** In the order in which they are listed. */
const LOADS: ReadonlyMap<string, Load> = new Map<string, Load>([
  ["serve", async () => [(await import("./serve.js")).serveCommand]],
  ["proxy", async () => [(await import("./proxy.js")).proxyCommand]],
  ["validate", async () => [(await import("./validate.js")).validateCommand]],
  ["inject", async () => [(await import("./inject.js")).injectCommand]],
  ["analyze", async () => [(await import("./analyze.js")).analyzeCommand]],
  ["status", async () => [(await import("./status.js")).statusCommand]],
  ["config", async () => [(await import("./config.js")).configCommand]],
  ["diff", async () => [(await import("./diff.js")).diffCommand]],
  ["explain", async () => [(await import("./explain.js")).explainCommand]],
  ["test", async () => [(await import("./test.js")).testCommand]],
  ["filter", loadFilterCommands],
  ["demo", async () => [(await import("./demo.js")).demoCommand]],
]);

/** The commands whose names begin with the word; all of them where none does, as for --help. */
export async function loadCommands(word: string | undefined): Promise<readonly CommandDefinition[]> {
  const load = LOADS.get(word ?? "");
  if (load) return load();
  return (await Promise.all([...LOADS.values()].map((each) => each()))).flat();
}

async function loadFilterCommands(): Promise<readonly CommandDefinition[]> {
  const { filterNewCommand } = await import("./filter-new.js");
  const versions = await import("./filter-versions.js");
  const rollouts = await import("./filter-rollouts.js");
  return [
    filterNewCommand,
    versions.filterPushCommand,
    versions.filterListCommand,
    versions.filterShowCommand,
    versions.filterDiffCommand,
    versions.filterRemoveCommand,
    rollouts.filterUseCommand,
    rollouts.filterStatusCommand,
    rollouts.filterRollbackCommand,
    rollouts.filterHistoryCommand,
  ];
}
