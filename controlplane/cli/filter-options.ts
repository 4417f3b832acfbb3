// What the `headgate filter` commands have in common: where the filters lie, how faults are told, who acts.
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { KubeFault } from "../kube/object.js";
import type { FilterFault } from "../registry/fault.js";
import { createClusterStorage } from "../rollout/cluster-storage.js";
import { createDirectoryStorage } from "../rollout/directory-storage.js";
import type { FilterStorage } from "../rollout/storage.js";
import { ACCESS_OPTIONS, connectToCluster } from "./cluster-access.js";
import { type CommandIo, type CommandOption, exitCode, type OptionValues } from "./command.js";
import { table } from "./table.js";

const NAMESPACE = "headgate-system";

export const FILTERS_NAMESPACE_OPTION: CommandOption = {
  flags: "--filters-namespace <namespace>",
  summary: `the namespace of a cluster that has the filters (default: ${NAMESPACE})`,
};

/** Where the filters lie. */
export const STORAGE_OPTIONS: readonly CommandOption[] = [
  { flags: "--filters <dir>", summary: "the directory that `headgate serve --filters` follows (default: filters)" },
  { flags: "--kube", summary: "the filters of a Kubernetes cluster, which `headgate serve --kube` follows" },
  ...ACCESS_OPTIONS,
  FILTERS_NAMESPACE_OPTION,
];

export const BY_OPTION: CommandOption = { flags: "--by <who>", summary: "who does this (default: this user)" };

export const OUTPUT_OPTION: CommandOption = {
  flags: "-o, --output <format>",
  summary: "how to print",
  choices: ["table", "json"],
  default: "table",
};

export function filtersNamespace({ filtersNamespace }: OptionValues): string {
  return typeof filtersNamespace === "string" ? filtersNamespace : NAMESPACE;
}

/** Does a command's work on the filters that its options name, and gives the exit code. */
export async function withFilters(
  command: string,
  options: OptionValues,
  io: CommandIo,
  work: (storage: FilterStorage) => Promise<number>,
): Promise<number> {
  if (options.kube !== true) return work(createDirectoryStorage(resolve(io.cwd, String(options.filters ?? "filters"))));
  if (options.filters !== undefined) return tellUsage(command, "give --filters or --kube, not both", io);
  const connected = await connectToCluster(options, io);
  if ("error" in connected) return tellUsage(command, connected.error, io);
  const client = connected.value;
  try {
    return await work(createClusterStorage({ client, namespace: filtersNamespace(options) }));
  } catch (error) {
    if (!(error instanceof KubeFault)) throw error;
    io.stderr.write(`headgate ${command}: the cluster says: ${error.message}\n`);
    return exitCode.unavailable;
  } finally {
    client.close();
  }
}

/** Writes what there is as JSON, or its rows as a table, by OUTPUT_OPTION. */
export function writeRows<T>(
  { output }: OptionValues,
  io: Pick<CommandIo, "stdout">,
  head: readonly string[],
  all: readonly T[],
  row: (one: T) => string[],
): void {
  io.stdout.write(output === "json" ? `${JSON.stringify(all, null, 2)}\n` : table(head, all.map(row)));
}

export function actor(options: OptionValues, io: CommandIo): string {
  return typeof options.by === "string" ? options.by : (io.env.USER ?? userInfo().username);
}

/** Tells a fault, with its code, and gives the exit code for it. */
export function tellFault(command: string, fault: FilterFault, io: CommandIo): number {
  io.stderr.write(`headgate ${command}: ${fault.code}: ${fault.message}\n`);
  return exitCode.violations;
}

export function tellUsage(command: string, error: string, io: CommandIo): number {
  io.stderr.write(`headgate ${command}: ${error}\n`);
  return exitCode.usage;
}
