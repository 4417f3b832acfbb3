// The flags of `headgate proxy` that say where it tells of itself, and when its workload serves.
import type { HostPort } from "../agent/bootstrap.js";
import type { WorkloadProbeOptions } from "../agent/workload-probe.js";
import type { CommandOption, OptionValues } from "./command.js";
import { readCount, readDuration, readHostPort } from "./flag-values.js";

export const STATUS_OPTIONS: readonly CommandOption[] = [
  { flags: "--status <host:port>", summary: "serve /healthz/ready, /healthz/live and /metrics there; port 0: any" },
  {
    flags: "--probe <url>",
    summary: "the workload: ready only while http://HOST:PORT/PATH or tcp://HOST:PORT answers",
  },
  { flags: "--probe-period <duration>", summary: "how often it is asked", default: "2s" },
  { flags: "--probe-timeout <duration>", summary: "how long it may take to answer", default: "1s" },
  { flags: "--probe-failures <n>", summary: "failures in a row until it counts as failed", default: "3" },
];

export interface StatusSettings {
  readonly listen?: HostPort;
  readonly probe?: WorkloadProbeOptions;
}

/** The flags, checked; the errors are all that there are. */
export function readStatusSettings(
  options: OptionValues,
): { readonly value: StatusSettings } | { readonly errors: readonly string[] } {
  const errors: string[] = [];
  const need = <T>(read: { readonly value: T } | { readonly error: string }): T | undefined => {
    if ("value" in read) return read.value;
    errors.push(read.error);
    return undefined;
  };
  const listen = typeof options.status === "string" ? need(readHostPort("--status", options.status)) : undefined;
  const target = typeof options.probe === "string" ? need(readTarget(options.probe)) : undefined;
  const periodMs = need(readDuration("--probe-period", String(options.probePeriod))) ?? 0;
  const timeoutMs = need(readDuration("--probe-timeout", String(options.probeTimeout))) ?? 0;
  const failures = need(readCount("--probe-failures", String(options.probeFailures), 1)) ?? 1;
  if (target && !listen) errors.push("--probe needs --status, where readiness is told");
  if (errors.length > 0) return { errors };
  return {
    value: { ...(listen ? { listen } : {}), ...(target ? { probe: { target, periodMs, timeoutMs, failures } } : {}) },
  };
}

function readTarget(text: string): { readonly value: URL } | { readonly error: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" && url.hostname !== "";
  const isTcp = url?.protocol === "tcp:" && url.hostname !== "" && url.port !== "" && /^\/?$/.test(url.pathname);
  if (url && (isHttp || isTcp)) return { value: url };
  return { error: `--probe is "${text}": write http://HOST:PORT/PATH or tcp://HOST:PORT` };
}
