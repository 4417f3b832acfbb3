// The agent's log: its own lines and those of its Envoy, told apart by component, each with a level, as text or JSON.

export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "critical"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogLine {
  readonly level: LogLevel;
  /** "agent", or "envoy/" and Envoy's own name of the component. */
  readonly component: string;
  readonly message: string;
}

export type LogFormat = "text" | "json";

/** One line for the log, with its end. `time` is of when the agent had it. */
export function formatLine({ level, component, message }: LogLine, format: LogFormat, time: Date): string {
  const at = time.toISOString();
  if (format === "json") return `${JSON.stringify({ time: at, level, component, message })}\n`;
  return `${at} ${level} ${component}: ${message}\n`;
}

/** As Envoy writes by default: [time][thread][level][component] [file:line] message. */
const ENVOY_LINE = /^\[[^\]]*\]\[\d+\]\[([a-z]+)\]\[([^\]]*)\] (?:\[[^\]\s]*:\d+\] )?(.*)$/s;

/** Reads Envoy's log line by line; a line that does not begin like one goes on with the one before. */
export function envoyLogReader(): (line: string) => LogLine {
  let last: Pick<LogLine, "level" | "component"> = { level: "info", component: "envoy" };
  return (line) => {
    const [, level, component, message = ""] = ENVOY_LINE.exec(line) ?? [];
    if (!isLevel(level)) return { ...last, message: line };
    last = { level, component: `envoy/${component}` };
    return { ...last, message };
  };
}

function isLevel(text: string | undefined): text is LogLevel {
  return (LOG_LEVELS as readonly (string | undefined)[]).includes(text);
}
