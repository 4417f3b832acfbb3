// What the `headgate filter` commands have in common: where the filters lie, how faults are told, who acts.
import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { FilterFault } from "../registry/fault.js";
import { createDirectoryStorage } from "../rollout/directory-storage.js";
import type { FilterStorage } from "../rollout/storage.js";
import { type CommandIo, type CommandOption, exitCode, type OptionValues } from "./command.js";

/** Where the filters lie. */
export const STORAGE_OPTIONS: readonly CommandOption[] = [
  { flags: "--filters <dir>", summary: "the directory that `headgate serve --filters` follows (default: filters)" },
];

export const BY_OPTION: CommandOption = { flags: "--by <who>", summary: "who does this (default: this user)" };

export const OUTPUT_OPTION: CommandOption = {
  flags: "-o, --output <format>",
  summary: "how to print",
  choices: ["table", "json"],
  default: "table",
};

/** Does a command's work on the filters that its options name, and gives the exit code; the storage is closed then. */
export async function withFilters(
  options: OptionValues,
  io: CommandIo,
  work: (storage: FilterStorage) => Promise<number>,
): Promise<number> {
  const storage = createDirectoryStorage(resolve(io.cwd, String(options.filters ?? "filters")));
  try {
    return await work(storage);
  } finally {
    storage.close();
  }
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
