// `headgate proxy`: runs one Envoy as a sidecar or gateway, with a bootstrap made from its identity.
import { isIP } from "node:net";
import { hostname } from "node:os";
import { createAgentMetrics } from "../agent/agent-metrics.js";
import { type BootstrapOptions, createBootstrap, type HostPort, type ProxyIdentity } from "../agent/bootstrap.js";
import { findEnvoy } from "../agent/envoy-binary.js";
import { type EnvoyProcess, startEnvoy } from "../agent/envoy-process.js";
import { needsPrivilege } from "../agent/privileged-ports.js";
import { type StatusServer, startStatusServer } from "../agent/status-server.js";
import { probeWorkload } from "../agent/workload-probe.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { type Read, readCount, readDuration, readHostPort, readPairs } from "./flag-values.js";
import { readCredentials } from "./proxy-credentials.js";
import { LIMIT_OPTIONS, readLimits } from "./proxy-limits.js";
import { LOG_OPTIONS, type LogSettings, type ProxyLog, proxyLog, readLogSettings } from "./proxy-log.js";
import { readStatusSettings, STATUS_OPTIONS, type StatusSettings } from "./proxy-status.js";

export const proxyCommand: CommandDefinition = {
  name: "proxy",
  summary: "run one Envoy as a sidecar or gateway under the control plane",
  description:
    "Starts Envoy with a generated bootstrap, tells when it is ready, restarts it when it crashes, and drains it on\n" +
    "SIGTERM. Envoy never outlives this command, even if the command is killed.\n\n" +
    "Example:\n" +
    "  headgate proxy --role sidecar --name reviews-v1-0 --namespace default --ip 127.0.0.1 \\\n" +
    "    --labels app=reviews,version=v1 --ads 127.0.0.1:15010",
  options: [
    { flags: "--role <role>", summary: "what this proxy is", choices: ["sidecar", "router"], default: "sidecar" },
    { flags: "--name <name>", summary: "the workload instance's name (default: the host's name)" },
    { flags: "--namespace <namespace>", summary: "its namespace", default: "default" },
    { flags: "--ip <address>", summary: "its own address, the primary one first", required: true, repeatable: true },
    { flags: "--labels <k=v,...>", summary: "its labels, which selectors and subsets match", default: "" },
    { flags: "--ads <host:port>", summary: "where the control plane serves ADS", default: "127.0.0.1:15010" },
    {
      flags: "--ads-ca <file>",
      summary: "speak TLS, with a control plane whose certificate is of this authority (PEM)",
    },
    { flags: "--ads-server-name <name>", summary: "the name in its certificate (default: the host of --ads)" },
    { flags: "--ads-cert <file>", summary: "the certificate chain that this proxy shows (PEM)" },
    { flags: "--ads-key <file>", summary: "its private key (PEM)" },
    { flags: "--ads-token-file <file>", summary: "the bearer token that this proxy shows" },
    { flags: "--admin <host:port>", summary: "Envoy's admin interface; port 0: any", default: "127.0.0.1:15000" },
    ...STATUS_OPTIONS,
    {
      flags: "--interception-mode <mode>",
      summary: "how traffic gets into the sidecar: REDIRECT by iptables, or NONE",
      choices: ["REDIRECT", "NONE"],
      default: "NONE",
    },
    { flags: "--service-account <name>", summary: "its service account", default: "default" },
    { flags: "--group <name>", summary: "the WorkloadGroup in which the workload registers itself" },
    { flags: "--workload <name>", summary: "what it is an instance of (default: its name)" },
    { flags: "--locality <region/zone/subzone>", summary: "where it runs" },
    {
      flags: "--low-ports <which>",
      summary: "bind ports below 1024 as they are (yes), 10000 higher (no), or as this process may (auto)",
      choices: ["yes", "no", "auto"],
      default: "auto",
    },
    { flags: "--concurrency <n>", summary: "worker threads (default: one a core)" },
    ...LIMIT_OPTIONS,
    { flags: "--dns-resolver <host:port>", summary: "asked for names in place of the system's resolvers" },
    { flags: "--envoy <path>", summary: "the Envoy to run (default: HEADGATE_ENVOY, PATH, or the pinned one)" },
    ...LOG_OPTIONS,
    { flags: "--drain-time <duration>", summary: "how long requests may finish at the end", default: "5s" },
    { flags: "--print-bootstrap", summary: "print the bootstrap as JSON and start nothing" },
  ],

  async run(_args, options, io) {
    const settings = await readSettings(options, io.cwd);
    if ("error" in settings) {
      io.stderr.write(`headgate proxy: ${settings.error}\n`);
      return exitCode.usage;
    }
    const bootstrap = createBootstrap(settings.value.identity, settings.value);
    if (options.printBootstrap) {
      io.stdout.write(`${JSON.stringify(bootstrap, null, 2)}\n`);
      return exitCode.ok;
    }
    const log = proxyLog(io, settings.value.log.format);
    if (settings.value.warning) log.say(settings.value.warning, "warning");
    const env = settings.value.envoy ? { ...io.env, HEADGATE_ENVOY: settings.value.envoy } : io.env;
    const binary = await findEnvoy({ env, onProgress: log.say });
    if ("error" in binary) {
      log.say(settings.value.envoy ? binary.error.replace("HEADGATE_ENVOY is", "--envoy is") : binary.error, "error");
      return exitCode.unavailable;
    }
    return runUntilStopped(settings.value, bootstrap, binary.value.path, io, log);
  },
};

interface Settings extends BootstrapOptions {
  readonly identity: ProxyIdentity;
  readonly status: StatusSettings;
  readonly drainMs: number;
  /** To be told before the start. */
  readonly warning?: string;
  readonly log: LogSettings;
  readonly concurrency?: number;
  readonly envoy?: string;
}

async function runUntilStopped(
  settings: Settings,
  bootstrap: object,
  binary: string,
  io: CommandIo,
  log: ProxyLog,
): Promise<number> {
  const envoy: EnvoyProcess | undefined = await startEnvoy({
    bootstrap,
    binary,
    logLevel: settings.log.level,
    ...(settings.log.components ? { extraArguments: ["--component-log-level", settings.log.components] } : {}),
    ...(settings.concurrency === undefined ? {} : { concurrency: settings.concurrency }),
    onLog: log.envoy,
    onOutput: (line) => io.stdout.write(`${line}\n`),
    onNotice: (notice) => log.say(notice, "warning"),
    onCrash: ({ code, signal }, restartInMs) => {
      const how = signal ?? `exit code ${code}`;
      log.say(`Envoy ended by itself (${how}); starting it again in ${restartInMs} ms`, "error");
    },
  }).catch((error: Error) => {
    log.say(error.message, "error");
    return undefined;
  });
  if (!envoy) return exitCode.unavailable;
  const status = await tellStatus(envoy, settings, log);
  if ("error" in status) {
    log.say(status.error, "error");
    await envoy.stop();
    return exitCode.unavailable;
  }
  try {
    return await untilStopped(envoy, settings, io, log);
  } finally {
    status.value.close();
  }
}

/** Until the person or Envoy has it end; resolves with the exit code. */
async function untilStopped(envoy: EnvoyProcess, settings: Settings, io: CommandIo, log: ProxyLog): Promise<number> {
  const { host, port } = settings.ads;
  log.say(`started Envoy (pid ${envoy.pid}), waiting for the control plane at ${host}:${port}`);
  void envoy.ready(io.signal).then(
    () => log.say(`ready; Envoy's admin interface is http://${envoy.adminAddress?.host}:${envoy.adminAddress?.port}`),
    () => {},
  );
  const stopped = new Promise<"stopped">((resolve) => {
    if (io.signal.aborted) resolve("stopped");
    io.signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
  if ((await Promise.race([stopped, envoy.exited])) === "stopped") {
    log.say(`draining for up to ${settings.drainMs} ms`);
    await envoy.stop({ drainMs: settings.drainMs, ...(io.hurry ? { hurry: io.hurry } : {}) });
    return exitCode.ok;
  }
  await envoy.live().catch((error: Error) => log.say(error.message, "error"));
  return exitCode.unavailable;
}

/** Serves what others ask of the proxy's state, where a flag says so; the error is that it cannot be served there. */
async function tellStatus(
  envoy: EnvoyProcess,
  { status: { listen, probe }, credentials }: Settings,
  log: ProxyLog,
): Promise<{ readonly value: Pick<StatusServer, "close"> } | { readonly error: string }> {
  if (!listen) return { value: { close: () => {} } };
  const workload = probe && probeWorkload(probe);
  const missing = async () => (await envoy.missing()) ?? workload?.failure;
  const certificate = credentials?.certificate?.chain;
  const metrics = createAgentMetrics({ envoy, missing, ...(certificate === undefined ? {} : { certificate }) });
  try {
    const server = await startStatusServer(listen, { missing, metrics });
    log.say(`its state is told at http://${listen.host}:${server.address.port}/healthz/ready`);
    return {
      value: {
        close() {
          workload?.close();
          server.close();
        },
      },
    };
  } catch (error) {
    workload?.close();
    return { error: `--status: ${(error as Error).message}` };
  }
}

/** Every flag, checked; the error names all faults at once. */
async function readSettings(options: OptionValues, cwd: string): Promise<Read<Settings>> {
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
