// The flags of `headgate proxy` that say what it logs, and how.
import { envoyLogReader, formatLine, LOG_LEVELS, type LogFormat, type LogLevel } from "../agent/log.js";
import type { CommandIo, CommandOption, OptionValues } from "./command.js";
import type { Read } from "./flag-values.js";

const ENVOY_LEVELS = [...LOG_LEVELS, "off"];

export const LOG_OPTIONS: readonly CommandOption[] = [
  { flags: "--log-level <level>", summary: "Envoy's log level", choices: ENVOY_LEVELS, default: "warning" },
  { flags: "--component-log-level <component:level,...>", summary: "other levels of some of Envoy's components" },
  { flags: "--log-format <format>", summary: "how lines are written", choices: ["text", "json"], default: "text" },
];

export interface LogSettings {
  readonly level: string;
  /** As Envoy's flag has it. */
  readonly components?: string;
  readonly format: LogFormat;
}

export function readLogSettings(options: OptionValues): Read<LogSettings> {
  const { logLevel, componentLogLevel: components, logFormat } = options;
  const settings: LogSettings = {
    level: typeof logLevel === "string" ? logLevel : "warning",
    format: logFormat === "json" ? "json" : "text",
  };
  if (typeof components !== "string") return { value: settings };
  const isPair = (pair: string) => /^[a-z_0-9]+:[a-z]+$/.test(pair) && ENVOY_LEVELS.includes(pair.split(":")[1] ?? "");
  if (components.split(",").every(isPair)) return { value: { ...settings, components } };
  return {
    error: `--component-log-level is "${components}": write component:level,..., as in upstream:debug,config:info`,
  };
}

export interface ProxyLog {
  /** A line of the agent's own; info by default. */
  say(message: string, level?: LogLevel): void;
  /** A line of Envoy's log. */
  envoy(line: string): void;
}

/** Writes to standard error. */
export function proxyLog(io: Pick<CommandIo, "stderr">, format: LogFormat): ProxyLog {
  const read = envoyLogReader();
  return {
    say: (message, level = "info") =>
      io.stderr.write(formatLine({ level, component: "agent", message }, format, new Date())),
    envoy: (line) => io.stderr.write(formatLine(read(line), format, new Date())),
  };
}
