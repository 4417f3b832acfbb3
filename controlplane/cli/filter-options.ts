// What the `headgate filter` commands have in common: where the registry is, how faults are told, who acts.
import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { FilterFault } from "../registry/fault.js";
import { type CommandIo, type CommandOption, exitCode, type OptionValues } from "./command.js";

export const FILTERS_OPTION: CommandOption = {
  flags: "--filters <dir>",
  summary: "the registry's directory, which `headgate serve --filters` follows",
  default: "filters",
};

export const BY_OPTION: CommandOption = { flags: "--by <who>", summary: "who does this (default: this user)" };

export const OUTPUT_OPTION: CommandOption = {
  flags: "-o, --output <format>",
  summary: "how to print",
  choices: ["table", "json"],
  default: "table",
};

export function filtersDirectory(options: OptionValues, io: CommandIo): string {
  return resolve(io.cwd, String(options.filters));
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
