// What the flags of `headgate proxy` come to, checked.
import { isIP } from "node:net";
import { hostname } from "node:os";
import { type BootstrapOptions, createBootstrap, type HostPort, type ProxyIdentity } from "../agent/bootstrap.js";
import type { Launch } from "../agent/launch.js";
import { needsPrivilege } from "../agent/privileged-ports.js";
import type { OptionValues } from "./command.js";
import { type Read, readCount, readDuration, readHostPort, readPairs } from "./flag-values.js";
import { readCredentials } from "./proxy-credentials.js";
import { withFiles } from "./proxy-files.js";
import { readLimits } from "./proxy-limits.js";
import { type LogSettings, readLogSettings } from "./proxy-log.js";
import { readStatusSettings, type StatusSettings } from "./proxy-status.js";

export interface Settings extends BootstrapOptions {
  readonly identity: ProxyIdentity;
  readonly status: StatusSettings;
  readonly drainMs: number;
  /** To be told before the start. */
  readonly warning?: string;
  readonly log: LogSettings;
  readonly concurrency?: number;
  readonly envoy?: string;
}

/** What Envoy is started with; `since` tells the control plane which of two Envoys has the newer settings. */
export function launchOf(settings: Settings, binary: string, since?: number): Launch {
  const { identity } = settings;
  return {
    bootstrap: createBootstrap(since === undefined ? identity : { ...identity, since }, settings),
    binary,
    logLevel: settings.log.level,
    ...(settings.log.components ? { extraArguments: ["--component-log-level", settings.log.components] } : {}),
    ...(settings.concurrency === undefined ? {} : { concurrency: settings.concurrency }),
  };
}

/** Every flag, and what files say in their place, checked; the error names all faults at once. */
export async function readSettings(flags: OptionValues, cwd: string): Promise<Read<Settings>> {
  const overlaid = await withFiles(flags, cwd);
  if ("error" in overlaid) return overlaid;
  const options = overlaid.value;
  const errors: string[] = [];
  const given = (name: string) => (typeof options[name] === "string" ? (options[name] as string) : undefined);
  function need<T>(read: Read<T>): T | undefined {
    if ("value" in read) return read.value;
    errors.push(read.error);
    return undefined;
  }
  function maybe<T>(name: string, read: (text: string) => Read<T>): T | undefined {
    const text = given(name);
    return text === undefined ? undefined : need(read(text));
  }
  const addresses = (Array.isArray(options.ip) ? options.ip : [options.ip]).filter((ip) => typeof ip === "string");
  for (const address of addresses) if (!isIP(address)) errors.push(`--ip is "${address}": write an IP address`);
  if (addresses.length === 0) errors.push("--ip is missing: give the workload's own address");
  const ads = maybe("ads", (text) => readHostPort("--ads", text));
  const admin = maybe("admin", (text) => readHostPort("--admin", text));
  const dnsResolver = maybe("dnsResolver", (text) => readHostPort("--dns-resolver", text));
  if (dnsResolver && !isIP(dnsResolver.host)) errors.push("--dns-resolver needs an IP address, not a name");
  const labels = maybe("labels", (text) => readPairs("--labels", text)) ?? {};
  const drainMs = maybe("drainTime", (text) => readDuration("--drain-time", text)) ?? 0;
  const concurrency = maybe("concurrency", (text) => readCount("--concurrency", text, 1));
  const credentials = readCredentials(options, cwd, ads);
  if ("errors" in credentials) errors.push(...credentials.errors);
  const status = readStatusSettings(options);
  if ("errors" in status) errors.push(...status.errors);
  const limits = await readLimits(options);
  if ("errors" in limits) errors.push(...limits.errors);
  const log = need(readLogSettings(options));
  if (errors.length > 0) return { error: errors.join("\n  ") };
  const [region, zone, subzone] = (given("locality") ?? "").split("/");
  return {
    value: {
      ads: ads as HostPort,
      ...("value" in credentials ? { credentials: credentials.value } : {}),
      ...(admin ? { admin } : {}),
      ...(dnsResolver ? { dnsResolver } : {}),
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(given("envoy") ? { envoy: given("envoy") as string } : {}),
      ...("value" in limits ? limits.value : {}),
      status: "value" in status ? status.value : {},
      drainMs,
      log: log as LogSettings,
      identity: {
        role: given("role") === "router" ? "router" : "sidecar",
        name: given("name") ?? hostname(),
        namespace: given("namespace") ?? "default",
        addresses: addresses as [string, ...string[]],
        labels,
        interceptionMode: given("interceptionMode") === "REDIRECT" ? "REDIRECT" : "NONE",
        serviceAccount: given("serviceAccount") ?? "default",
        ...(given("group") ? { workloadGroup: given("group") as string } : {}),
        ...(given("workload") ? { workloadName: given("workload") as string } : {}),
        unprivileged: options.lowPorts === "no" || (options.lowPorts !== "yes" && (await needsPrivilege())),
        ...(region ? { locality: { region, ...(zone ? { zone } : {}), ...(subzone ? { subzone } : {}) } } : {}),
      },
    },
  };
}
