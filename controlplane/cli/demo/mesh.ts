// The running demo: services, sidecars, gateway, control plane, DNS and the outside world, started and stopped as one.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBootstrap, type HostPort } from "../../agent/bootstrap.js";
import { readStats } from "../../agent/envoy-admin.js";
import { type EnvoyProcess, startEnvoy } from "../../agent/envoy-process.js";
import { type Authority, createAuthority } from "../../certificates/authority.js";
import { readHostPort } from "../flag-values.js";
import { ControlPlane } from "./control-plane.js";
import { type DnsServer, startDns } from "./dns.js";
import { claimNetwork, type Network } from "./network.js";
import { type Program, startProgram } from "./programs.js";
import {
  DNS_HOST,
  GATEWAY,
  GATEWAY_TLS_HOST,
  NAMESPACE,
  OUTSIDE,
  PLAIN,
  SERVICE_PORT,
  SIDECARS,
  type Workload,
  workload,
} from "./topology.js";
import { describeGateway, describeWorld, type Placed } from "./world.js";

export interface MeshOptions {
  /** Where the world's description is written. */
  readonly world: string;
  /** Where the policies lie; must exist. */
  readonly policies: string;
  /** Takes the world in place of a directory; then it is the only thing that is read. */
  readonly cluster?: {
    /** Arguments of `headgate serve`. */
    readonly reading: readonly string[];
    apply(yaml: string): Promise<void>;
  };
  readonly envoy: string;
  /** Of the control plane's admin; port 0 for any. */
  readonly admin: string;
  /** Told what is being done, and what programs log. */
  readonly onProgress: (message: string) => void;
  readonly onLog: (source: string, line: string) => void;
}

interface Service {
  readonly listen: string;
  readonly control: string;
}

/** Everything that runs, and how to reach it. */
export interface Mesh {
  readonly controlPlane: ControlPlane;
  /** Signs the gateway's and the outside world's certificates. */
  readonly authority: Authority;
  /** The directory of the filter registry; nothing follows it where a cluster is read. */
  readonly filters: string;
  /** Proxies that the control plane serves. */
  readonly proxies: number;
  /** A workload's own address; the gateway's too. */
  address(name: string): string;
  /** The back door of a bookinfo service: see examples/bookinfo/control.ts. */
  control(name: string): string;
  /** A counter or gauge of a workload's Envoy. */
  stat(name: string, stat: string): Promise<number>;
  stop(): Promise<void>;
}

/** Starts it all and resolves when every proxy is ready; when anything fails, what runs already is stopped first. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const mesh = new DemoMesh(options);
  try {
    await mesh.start();
    return mesh;
  } catch (error) {
    await mesh.stop();
    throw error;
  }
}

/** For an Envoy to become ready, or to answer, on a machine that all of them share. */
const READY_TIMEOUT_MS = 30_000;

class DemoMesh implements Mesh {
  readonly proxies = SIDECARS.length + 1;
  readonly #options: MeshOptions;
  readonly #services = new Map<string, Service>();
  readonly #envoys = new Map<string, EnvoyProcess>();
  readonly #programs: Program<unknown>[] = [];
  #network: Network | undefined;
  #dns: DnsServer | undefined;
  #controlPlane: ControlPlane | undefined;
  #authority: Authority | undefined;

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  get filters(): string {
    return join(this.#options.policies, "..", "filters");
  }

  get controlPlane(): ControlPlane {
    return started(this.#controlPlane);
  }

  get authority(): Authority {
    return started(this.#authority);
  }

  address(name: string): string {
    return this.#place(workload(name).host);
  }

  control(name: string): string {
    return started(this.#services.get(name)).control;
  }

  async stat(name: string, stat: string): Promise<number> {
    const address = await started(this.#envoys.get(name)).live();
    const literal = stat.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
    return (await readStats(address, `^${literal}$`, READY_TIMEOUT_MS)).get(stat) ?? 0;
  }

  async start(): Promise<void> {
    const { onProgress } = this.#options;
    this.#network = await claimNetwork();
    this.#authority = await createAuthority("Headgate demo");
    this.#dns = await startDns(this.#place(DNS_HOST), { [OUTSIDE.hostname]: this.#place(OUTSIDE.host) });
    onProgress("Starting the services");
    await allDone([...SIDECARS.map((one) => this.#startService(one)), this.#startPlain(), this.#startOutside()]);
    await this.#writeWorld();
    onProgress("Starting the control plane");
    const { world, policies, cluster, admin, onLog } = this.#options;
    const reading = cluster?.reading ?? ["--config", world, "--config", policies, "--filters", this.filters];
    this.#controlPlane = await ControlPlane.start(reading, NAMESPACE, { ads: "127.0.0.1:0", admin }, (line) =>
      onLog("control plane", line),
    );
    onProgress(`Starting ${this.proxies} Envoys`);
    await allDone([...SIDECARS, GATEWAY].map((one) => this.#startProxy(one)));
  }

  /** The control plane goes last: an Envoy that drains does not mind, but one without it would complain. */
  async stop(): Promise<void> {
    await Promise.all([...this.#envoys.values()].map((envoy) => envoy.stop()));
    await Promise.all(this.#programs.map((program) => program.stop()));
    await this.#controlPlane?.stop();
    this.#dns?.close();
    this.#network?.close();
    await rm(this.#options.world, { recursive: true, force: true });
  }

  #place(host: number): string {
    return started(this.#network).address(host);
  }

  async #program<Hello>(script: string, args: readonly string[], name: string): Promise<Hello> {
    const path = ["dist", "examples", "bookinfo", script] as const;
    const program = await startProgram<Hello>(path, args, (line) => this.#options.onLog(name, line));
    this.#programs.push(program);
    return program.hello;
  }

  async #startService({ name, service, version, host }: Workload): Promise<void> {
    const outbound = `${this.#place(host)}:${SERVICE_PORT}`;
    const args = ["--version", version, "--outbound", outbound];
    this.#services.set(name, await this.#program<Service>(`${service}.js`, args, name));
  }

  async #startPlain(): Promise<void> {
    const instances = PLAIN.flatMap(({ name, host }) => ["--instance", `${name}=${this.#place(host)}:${SERVICE_PORT}`]);
    await this.#program("echo.js", instances, "plain services");
  }

  async #startOutside(): Promise<void> {
    const { certificate, privateKey } = await this.authority.issue([OUTSIDE.hostname]);
    const files = { cert: join(this.#options.world, "outside.crt"), key: join(this.#options.world, "outside.key") };
    await mkdir(this.#options.world, { recursive: true });
    await writeFile(files.cert, certificate);
    await writeFile(files.key, privateKey, { mode: 0o600 });
    const instance = `${OUTSIDE.name}=${this.#place(OUTSIDE.host)}:${OUTSIDE.port}`;
    await this.#program("echo.js", ["--instance", instance, "--cert", files.cert, "--key", files.key], "outside");
  }

  async #writeWorld(): Promise<void> {
    const placed: Placed[] = [
      ...SIDECARS.map((one) => ({
        workload: one,
        address: this.#place(one.host),
        port: hostPort(started(this.#services.get(one.name)).listen).port,
      })),
      ...PLAIN.map((one) => ({ workload: one, address: this.#place(one.host), port: SERVICE_PORT })),
    ];
    const files = {
      ...describeWorld(placed, await this.authority.issue([GATEWAY_TLS_HOST])),
      "gateway.yaml": describeGateway(this.#place(GATEWAY.host)),
    };
    const { cluster } = this.#options;
    for (const [name, text] of Object.entries(files)) {
      if (cluster !== undefined) {
        await cluster.apply(text);
        continue;
      }
      const path = join(this.#options.world, name);
      // The certificate's private key is among them.
      await writeFile(`${path}.tmp`, text, { mode: 0o600 });
      await rename(`${path}.tmp`, path);
    }
  }

  async #startProxy(one: Workload): Promise<void> {
    const isGateway = one === GATEWAY;
    const bootstrap = createBootstrap(
      {
        role: isGateway ? "router" : "sidecar",
        name: one.name,
        namespace: one.namespace,
        addresses: [this.#place(one.host)],
        labels: { app: one.service, version: one.version, ...(isGateway ? { istio: "ingressgateway" } : {}) },
        interceptionMode: "NONE",
        serviceAccount: one.service,
        workloadName: one.name,
        // The same ports for everyone, whoever starts the demo.
        unprivileged: true,
      },
      { ads: hostPort(this.controlPlane.addresses.ads), dnsResolver: started(this.#dns).address },
    );
    const envoy = await startEnvoy({
      bootstrap,
      binary: this.#options.envoy,
      // One worker each: limits on connections are then exact, and the machine is shared by all of them.
      concurrency: 1,
      onLog: (line) => this.#options.onLog(`${one.name}'s Envoy`, line),
    });
    this.#envoys.set(one.name, envoy);
    await envoy.ready(AbortSignal.timeout(READY_TIMEOUT_MS));
  }
}

/** As Promise.all, but a failure waits for the others too: what is still starting could not be stopped. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === "rejected") throw outcome.reason;
}

function hostPort(text: string): HostPort {
  const read = readHostPort("address", text);
  if ("error" in read) throw new Error(read.error);
  return read.value;
}

function started<T>(thing: T | undefined): T {
  if (thing === undefined) throw new Error("the demo has not started that yet");
  return thing;
}
