// `headgate serve`: the control plane.
import { resolve } from "node:path";
import { startWebhook, type Webhook, type WebhookOptions } from "../admission/webhook.js";
import { packagePath } from "../agent/package-root.js";
import type { Refused } from "../identity/admission.js";
import type { KubeStatusOptions } from "../kube-status/kube-status.js";
import { startControlPlane } from "../main.js";
import type { Extension } from "../mesh/extensions.js";
import type { ModuleFault } from "../modules/fault.js";
import type { Entries } from "../registration/entries.js";
import type { KubernetesSourceOptions } from "../sources/kubernetes.js";
import type { SourceState } from "../sources/source.js";
import type { AdsEvent } from "../xds/events.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { findNoDirectory } from "./directories.js";
import { type Read, readHostPort } from "./flag-values.js";
import { printable } from "./printable.js";
import { rolloutText } from "./rollout-text.js";
import { readServeAdmission, WEBHOOK_OPTIONS } from "./serve-admission.js";
import { AUTHORITY_OPTIONS, openServeAuthority, type ServeAuthority } from "./serve-authority.js";
import { openServeFilters, SERVE_FILTERS_OPTIONS } from "./serve-filters.js";
import { KUBE_OPTIONS, readServeKube } from "./serve-kube.js";
import { KUBE_STATUS_OPTIONS, readServeKubeStatus } from "./serve-kube-status.js";
import { REGISTRATION_OPTIONS, readServeRegistrations } from "./serve-registrations.js";
import { readServeSecurity, SECURITY_OPTIONS, type ServeSecurity } from "./serve-security.js";
import { SERVE_STATUS_OPTIONS, startServeStatus } from "./serve-status.js";
import { counted, violationText } from "./violation-text.js";

export const serveCommand: CommandDefinition = {
  name: "serve",
  summary: "run the control plane: read policies, serve them to proxies over ADS",
  description:
    "Reads every YAML file of the directories, or a Kubernetes cluster, or both; follows their changes, and keeps the\n" +
    "proxies that connect up to date.\n" +
    "Prints one line of JSON with the addresses it serves once it is ready; logs go to stderr.\n\n" +
    "Example:\n  headgate serve --config ./policies --ads 127.0.0.1:15010 --admin 127.0.0.1:15014",
  options: [
    {
      flags: "--config <dir>",
      summary: "a directory of YAML; given several times, earlier ones win",
      repeatable: true,
    },
    ...KUBE_OPTIONS,
    ...KUBE_STATUS_OPTIONS,
    ...WEBHOOK_OPTIONS,
    { flags: "--namespace <namespace>", summary: "the namespace of objects that name none", default: "default" },
    {
      flags: "--root-namespace <namespace>",
      summary: "the namespace whose Sidecar and DestinationRules are defaults",
      default: "istio-system",
    },
    ...SERVE_FILTERS_OPTIONS,
    {
      flags: "--module-cache <dir>",
      summary: "where fetched modules of WasmPlugins are kept (default: fetched/ in the directory of --filters)",
    },
    {
      flags: "--plain-registry <host:port>",
      summary: "an image registry that is spoken to without TLS, as those on loopback are",
      repeatable: true,
    },
    ...REGISTRATION_OPTIONS,
    { flags: "--access-log <path>", summary: "where proxies log each request, as /dev/stdout (default: nowhere)" },
    { flags: "--ads <host:port>", summary: "where to serve ADS; port 0: any", default: "127.0.0.1:15010" },
    { flags: "--admin <host:port>", summary: "where to serve the admin; port 0: any", default: "127.0.0.1:15014" },
    ...SECURITY_OPTIONS,
    ...AUTHORITY_OPTIONS,
    ...SERVE_STATUS_OPTIONS,
  ],

  async run(_args, options, io) {
    const log = (line: string) => io.stderr.write(`headgate serve: ${line}\n`);
    for (const flag of ["ads", "admin"] as const) {
      const address = readHostPort(`--${flag}`, String(options[flag]));
      if ("error" in address) {
        log(address.error);
        return exitCode.usage;
      }
    }
    if (options.config === undefined && options.kube !== true) {
      log("there is nothing to read: give --config DIR, or --kube");
      return exitCode.usage;
    }
    const directories = ((options.config ?? []) as readonly string[]).map((directory) => resolve(io.cwd, directory));
    const noDirectory = await findNoDirectory(directories);
    if (noDirectory !== undefined) {
      log(`--config ${noDirectory}`);
      return exitCode.usage;
    }
    const status = await startServeStatus(options);
    if ("error" in status) {
      log(status.error);
      return exitCode.usage;
    }
    let webhook: Webhook | undefined;
    let authority: ServeAuthority | undefined;
    try {
      const read = await readSettings(options, io, log);
      if ("error" in read) {
        log(read.error);
        return exitCode.usage;
      }
      const { kubernetes, kubeStatus, registrations, admission, security } = read.value;
      authority = read.value.authority;
      for (const warning of security.warnings) log(`warning: ${warning}`);
      webhook =
        admission && (await startWebhook({ ...admission, onNotice: (text) => log(printable(`webhook: ${text}`)) }));
      const sayOfFilters = (notice: string) => log(printable(`the cluster's ${notice}`));
      const filters = openServeFilters(options, io.cwd, kubernetes?.client, sayOfFilters);
      const controlPlane = await startControlPlane({
        directories,
        ...(kubernetes === undefined ? {} : { kubernetes }),
        ...(kubeStatus === undefined ? {} : { kubeStatus }),
        defaultNamespace: String(options.namespace),
        rootNamespace: String(options.rootNamespace),
        ads: String(options.ads),
        admin: String(options.admin),
        trafficFilter: packagePath("build", "traffic.wasm"),
        tryFilter: packagePath("build", "try.wasm"),
        ...(typeof options.accessLog === "string" ? { accessLog: options.accessLog } : {}),
        ...(filters === undefined ? {} : { filters }),
        ...moduleCache(options, io.cwd),
        plainRegistries: (options.plainRegistry ?? []) as readonly string[],
        onExtension: (extension, fault) => log(extensionText(extension, fault)),
        ...(registrations === undefined ? {} : { registrations }),
        onRegistrationRefused: (proxy, reason) => log(printable(`${proxy} does not register: ${reason}`)),
        onRollout: (rollout) => log(rolloutText(rollout)),
        security: security.ads,
        allowRemoteAdmin: security.allowRemoteAdmin,
        onRefused: logRefusals(log),
        onFault: (proxy, error) => log(`cannot translate for ${proxy}, which keeps what it has: ${faultText(error)}`),
        onAdminFault: (path, error) => log(`the admin failed on ${path}: ${faultText(error)}`),
        onState: logStates(log),
        onEvent: (event) => logEvent(event, log),
      });
      status.value.serving(() => controlPlane.metrics());
      const { ads, admin } = controlPlane;
      const served = { ads, admin, webhook: webhook?.address, status: status.value.address };
      io.stdout.write(`${JSON.stringify(served)}\n`);
      await aborted(io.signal);
      status.value.ending();
      await controlPlane.close();
      return exitCode.ok;
    } catch (error) {
      if (io.signal.aborted) return exitCode.ok;
      const message = error instanceof Error ? error.message : String(error);
      log(message.includes("EADDRINUSE") ? `${message}: choose another with --ads or --admin` : message);
      return exitCode.unavailable;
    } finally {
      await webhook?.close();
      authority?.close();
      status.value.close();
    }
  },
};

interface ServeSettings {
  readonly authority: ServeAuthority | undefined;
  readonly kubernetes: Omit<KubernetesSourceOptions, "defaultNamespace"> | undefined;
  readonly kubeStatus: KubeStatusOptions | undefined;
  readonly registrations: string | Entries | undefined;
  readonly admission: Omit<WebhookOptions, "onNotice"> | undefined;
  readonly security: ServeSecurity;
}

/** What several flags make together. Rejects when it is to end while it waits for the cluster. */
async function readSettings(
  options: OptionValues,
  io: CommandIo,
  log: (line: string) => void,
): Promise<Read<ServeSettings>> {
  const say = (about: string) => (notice: string) => log(printable(`${about}: ${notice}`));
  const kubernetes = await readServeKube(options, io, say("Kubernetes"));
  if ("error" in kubernetes) return kubernetes;
  const client = kubernetes.value?.client;
  const told = readServeKubeStatus(options, say("status"));
  if ("error" in told) return told;
  const registered = readServeRegistrations(options, io.cwd, client, say("registrations"));
  if ("error" in registered) return registered;
  const authority = await openServeAuthority(options, client, io.signal, say("ADS' authority"));
  if ("error" in authority) return authority;
  const admission = readServeAdmission(options, io.cwd, client, authority.value?.certificate);
  if ("error" in admission) return admission;
  const security = await readServeSecurity(options, io.cwd, log, client, authority.value?.tls);
  if ("error" in security) return security;
  const [source, own, hooks] = [kubernetes.value, authority.value, admission.value];
  const [kubeStatus, registrations] = [told.value, registered.value];
  const ofCluster = { kubernetes: source, kubeStatus, registrations };
  return { value: { ...ofCluster, authority: own, admission: hooks, security: security.value } };
}

/** Beside the filters where there are any, unless it is said where; without either nothing is kept. */
function moduleCache({ moduleCache, filters }: OptionValues, cwd: string): { readonly moduleCache?: string } {
  if (typeof moduleCache === "string") return { moduleCache: resolve(cwd, moduleCache) };
  return typeof filters === "string" ? { moduleCache: resolve(cwd, filters, "fetched") } : {};
}

function extensionText({ kind, meta }: Extension, fault: ModuleFault | undefined): string {
  const name = `${kind} ${meta.namespace}/${meta.name}`;
  return printable(fault ? `${name}: ${fault.code}, ${fault.message}` : `${name} has its module`);
}

function faultText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Tells of each state, and of each violation once. */
function logStates(log: (line: string) => void): (state: SourceState) => void {
  let known = new Set<string>();
  return (state) => {
    log(
      `${counted(state.resources.size, "object")}, ${state.changed.size} changed, ${counted(state.violations.length, "violation")}`,
    );
    const texts = new Set(state.violations.map(violationText));
    for (const text of texts) if (!known.has(text)) log(text);
    known = texts;
  };
}

function logEvent(event: AdsEvent, log: (line: string) => void): void {
  const say = (line: string) => log(printable(line));
  if (event.type === "connect") say(`${event.nodeId} connected from ${event.peer} (${event.protocol})`);
  if (event.type === "disconnect") say(`${event.key} disconnected`);
  if (event.type === "fault") log(`failed on a stream of ${event.key || "nobody"}: ${faultText(event.error)}`);
  if (event.type === "nack") say(`${event.key} rejected ${event.typeUrl}: ${event.error}`);
}

const REFUSALS_PER_SECOND = 10;

/** Tells of some refusals, and of the number of the others: whoever knocks without end must not fill the log. */
function logRefusals(log: (line: string) => void): (refused: Refused) => void {
  let [second, told, untold] = [0, 0, 0];
  return ({ peer, nodeId, code, message }) => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      if (untold > 0) log(`refused ${untold} more`);
      [second, told, untold] = [now, 0, 0];
    }
    if (++told > REFUSALS_PER_SECOND) untold++;
    else log(printable(`refused ${nodeId} from ${peer}: ${code}, ${message}`));
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
}
