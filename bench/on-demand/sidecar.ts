// The Envoy of the experiment: its start, its memory, and requests through it.
import { readdirSync, readFileSync } from "node:fs";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { askAdmin } from "../../controlplane/agent/envoy-admin.js";
import { findEnvoy } from "../../controlplane/agent/envoy-binary.js";
import { type EnvoyProcess, startEnvoy } from "../../controlplane/agent/envoy-process.js";

export interface Sidecar {
  readonly process: EnvoyProcess;
  /** From the start of the process until it is ready; milliseconds. */
  readonly readyMillis: number;
  /** User and system time of all its threads until it was ready; milliseconds. */
  readonly readyCpuMillis: number;
  memory(): Promise<MemoryFigures>;
  stop(): Promise<void>;
}

/** Bytes: resident, and what its allocator has given out. */
export interface MemoryFigures {
  readonly rss: number;
  readonly allocated: number;
}

export interface Bootstrap {
  readonly node: { readonly id: string; readonly metadata: object };
}

const NAME = "measured";

/** The bootstrap of `headgate proxy` for a sidecar that is called on the loopback address. */
export function sidecarBootstrap(address: string, adsPort: number): Bootstrap {
  const identity = {
    role: "sidecar",
    name: NAME,
    namespace: "default",
    addresses: [address],
    labels: {},
    interceptionMode: "NONE",
    unprivileged: true,
  } as const;
  return createBootstrap(identity, { ads: { host: "127.0.0.1", port: adsPort } }) as Bootstrap;
}

/** Rejects when Envoy is not ready within so many seconds. */
export async function startSidecar(bootstrap: object, seconds = 600): Promise<Sidecar> {
  const binary = await findEnvoy({ env: process.env });
  if ("error" in binary) throw new Error(binary.error);
  const startedAt = performance.now();
  const envoy = await startEnvoy({ bootstrap, binary: binary.value.path, logLevel: "error", concurrency: 1 });
  try {
    await envoy.ready(AbortSignal.timeout(seconds * 1000));
  } catch (error) {
    await envoy.stop();
    throw error;
  }
  const readyMillis = performance.now() - startedAt;
  return {
    process: envoy,
    readyMillis,
    readyCpuMillis: cpuMillisOf(envoy),
    memory: () => memoryOf(envoy),
    stop: () => envoy.stop(),
  };
}

function cpuMillisOf({ pid }: EnvoyProcess): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanos = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return nanos.reduce((sum, spent) => sum + Number(spent), 0) / 1e6;
}

async function memoryOf({ pid, adminAddress }: EnvoyProcess): Promise<MemoryFigures> {
  if (!adminAddress) throw new Error("Envoy has ended");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const { body } = await askAdmin(adminAddress, "GET", "/memory", 30_000);
  return {
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024,
    allocated: Number(JSON.parse(body).allocated),
  };
}
