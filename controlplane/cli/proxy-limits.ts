// The flags of `headgate proxy` that say how much it may take.
import { connectionsWithin, openFileLimit, openFileWarning, type ResourceLimits } from "../agent/resource-limits.js";
import type { CommandOption, OptionValues } from "./command.js";
import { type Read, readCount, readSize } from "./flag-values.js";

/** Envoy takes about 10 MiB with nothing to do. */
const LEAST_MEMORY = 32 * 1024 * 1024;

export const LIMIT_OPTIONS: readonly CommandOption[] = [
  { flags: "--memory-limit <size>", summary: "of Envoy's heap, as 512Mi; close to it requests are refused with 503" },
  { flags: "--max-connections <n>", summary: "open at once (default: 100000, or what the open-file limit allows)" },
];

export interface LimitSettings {
  readonly limits: ResourceLimits;
  /** What is to be told before the start. */
  readonly warning?: string;
}

/** The flags, checked; the errors are all that there are. */
export async function readLimits(
  options: OptionValues,
): Promise<{ readonly value: LimitSettings } | { readonly errors: readonly string[] }> {
  const errors: string[] = [];
  const maybe = (name: string, read: (text: string) => Read<number>): number | undefined => {
    const text = options[name];
    const result = typeof text === "string" ? read(text) : undefined;
    if (result && "error" in result) errors.push(result.error);
    return result && "value" in result ? result.value : undefined;
  };
  const memoryBytes = maybe("memoryLimit", (text) => readSize("--memory-limit", text, LEAST_MEMORY));
  const connections = maybe("maxConnections", (text) => readCount("--max-connections", text, 1));
  if (errors.length > 0) return { errors };
  const files = await openFileLimit();
  const warning = connections === undefined ? undefined : openFileWarning(connections, files);
  const limits = {
    connections: connections ?? connectionsWithin(files),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
  return { value: { limits, ...(warning === undefined ? {} : { warning }) } };
}
