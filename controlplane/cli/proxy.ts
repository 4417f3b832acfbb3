// `headgate proxy`: runs one Envoy as a sidecar or gateway, with a bootstrap made from its identity.
import { createAgentMetrics } from "../agent/agent-metrics.js";
import { findEnvoy } from "../agent/envoy-binary.js";
import { type EnvoyProcess, startEnvoy } from "../agent/envoy-process.js";
import { type StatusServer, startStatusServer } from "../agent/status-server.js";
import { createSuccession } from "../agent/succession.js";
import { probeWorkload } from "../agent/workload-probe.js";
import { followFiles } from "../identity/followed-files.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { FILE_OPTIONS, filesOf } from "./proxy-files.js";
import { LIMIT_OPTIONS } from "./proxy-limits.js";
import { LOG_OPTIONS, type ProxyLog, proxyLog } from "./proxy-log.js";
import { launchOf, readSettings, type Settings } from "./proxy-settings.js";
import { STATUS_OPTIONS } from "./proxy-status.js";

/** A proxy that is not ready by then is told of. */
const LATE_MS = 10_000;

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
    ...FILE_OPTIONS,
    { flags: "--drain-time <duration>", summary: "how long requests may finish at the end", default: "5s" },
    { flags: "--print-bootstrap", summary: "print the bootstrap as JSON and start nothing" },
  ],

  async run(_args, options, io) {
    const settings = await readSettings(options, io.cwd);
    if ("error" in settings) {
      io.stderr.write(`headgate proxy: ${settings.error}\n`);
      return exitCode.usage;
    }
    if (options.printBootstrap) {
      io.stdout.write(`${JSON.stringify(launchOf(settings.value, "").bootstrap, null, 2)}\n`);
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
    return runUntilStopped(options, settings.value, binary.value.path, io, log);
  },
};

async function runUntilStopped(
  options: OptionValues,
  first: Settings,
  binary: string,
  io: CommandIo,
  log: ProxyLog,
): Promise<number> {
  const replaceable = filesOf(options, io.cwd).length > 0;
  const stamped = (settings: Settings) => launchOf(settings, binary, replaceable ? Date.now() : undefined);
  const launch = stamped(first);
  const envoy: EnvoyProcess | undefined = await startEnvoy({
    ...launch,
    replaceable,
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
  const status = await tellStatus(envoy, first, log);
  if ("error" in status) {
    log.say(status.error, "error");
    await envoy.stop();
    return exitCode.unavailable;
  }
  const succession = createSuccession({
    envoy,
    launch,
    onTakeover: () => log.say(`another Envoy (pid ${envoy.pid}) has taken over, as settings have changed`),
    onFailure: (reason) => log.say(`no Envoy with the new settings has taken over: ${reason}`, "warning"),
  });
  const followed = await followSettings(options, first, io.cwd, log, (settings) => succession.want(stamped(settings)));
  try {
    return await untilStopped(envoy, followed, io, log);
  } finally {
    followed.close();
    succession.close();
    status.value.close();
  }
}

interface FollowedSettings {
  readonly current: Settings;
  close(): void;
}

/** Faults in the files leave in force what was read before. onChange is told of what Envoy is started with. */
async function followSettings(
  options: OptionValues,
  first: Settings,
  cwd: string,
  log: ProxyLog,
  onChange: (settings: Settings) => void,
): Promise<FollowedSettings> {
  let current = first;
  const onError = (error: string) => log.say(`${error}; what was read before stays in force`, "warning");
  const files = filesOf(options, cwd);
  if (files.length === 0) return { current, close: () => {} };
  const followed = await followFiles(files, {
    // What they say now may differ from what Envoy was started with, and a fault must not end the following.
    read: async () => {
      const read = await readSettings(options, cwd);
      if ("error" in read) onError(read.error);
      return { value: "value" in read ? read.value : current };
    },
    onValue: apply,
    onError,
  });
  if ("error" in followed) throw new Error(followed.error);
  apply(followed.value.current);
  return {
    get current() {
      return current;
    },
    close: followed.value.close,
  };

  function apply(settings: Settings): void {
    if (settings.warning !== undefined && settings.warning !== current.warning) log.say(settings.warning, "warning");
    const isOther = JSON.stringify(launchOf(settings, "")) !== JSON.stringify(launchOf(current, ""));
    current = settings;
    if (isOther) onChange(settings);
  }
}

/** Until the person or Envoy has it end; resolves with the exit code. */
async function untilStopped(
  envoy: EnvoyProcess,
  followed: FollowedSettings,
  io: CommandIo,
  log: ProxyLog,
): Promise<number> {
  void tellReadiness(envoy, followed.current, io.signal, log);
  const stopped = new Promise<"stopped">((resolve) => {
    if (io.signal.aborted) resolve("stopped");
    io.signal.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
  if ((await Promise.race([stopped, envoy.exited])) === "stopped") {
    const { drainMs } = followed.current;
    log.say(`draining for up to ${drainMs} ms`);
    await envoy.stop({ drainMs, ...(io.hurry ? { hurry: io.hurry } : {}) });
    return exitCode.ok;
  }
  await envoy.live().catch((error: Error) => log.say(error.message, "error"));
  return exitCode.unavailable;
}

/** Says when the proxy is ready; before that, should it take long, what is missing. */
async function tellReadiness(
  envoy: EnvoyProcess,
  { ads, credentials }: Settings,
  signal: AbortSignal,
  log: ProxyLog,
): Promise<void> {
  const controlPlane = `the control plane at ${ads.host}:${ads.port}`;
  log.say(`started Envoy (pid ${envoy.pid}), waiting for ${controlPlane}`);
  const late = setTimeout(async () => {
    const how = credentials?.ca === undefined ? "in plaintext, as without --ads-ca" : "over TLS, as with --ads-ca";
    const missing = await envoy.missing();
    log.say(`not ready after ${LATE_MS / 1000} s: ${missing}. Does ${controlPlane} answer, ${how}?`, "warning");
  }, LATE_MS);
  try {
    await envoy.ready(signal);
    log.say(`ready; Envoy's admin interface is http://${envoy.adminAddress?.host}:${envoy.adminAddress?.port}`);
  } catch {
    // Whoever ended it tells why.
  } finally {
    clearTimeout(late);
  }
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
