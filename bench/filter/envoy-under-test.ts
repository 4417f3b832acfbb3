// One Envoy with one worker, the CPU time it has used, and a load generator for it.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findEnvoy } from "../../controlplane/agent/envoy-binary.js";
import { type EnvoyProcess, startEnvoy } from "../../controlplane/agent/envoy-process.js";

const run = promisify(execFile);
const TYPE = "type.googleapis.com/";

export interface EnvoyUnderTest {
  readonly url: string;
  readonly process: EnvoyProcess;
  /** User and system time since the start, in microseconds. */
  cpuMicros(): number;
  /** Resident memory, in bytes. */
  memoryBytes(): number;
  stop(): Promise<void>;
}

export interface Backend {
  readonly host: string;
  readonly port: number;
}

export interface UnderTestOptions {
  /** The cluster "backend"; none by default. */
  readonly backend?: Backend | undefined;
  /** A file, and what a request leaves there; nothing by default. */
  readonly accessLog?: { readonly path: string; readonly format: string };
}

export async function startEnvoyUnderTest(
  virtualHost: object,
  filters: readonly object[],
  options: UnderTestOptions = {},
): Promise<EnvoyUnderTest> {
  const binary = await findEnvoy({ env: process.env });
  if ("error" in binary) throw new Error(binary.error);
  const port = await freePort();
  const envoy = await startEnvoy({
    bootstrap: bootstrap(port, virtualHost, filters, options),
    binary: binary.value.path,
    logLevel: "error",
    concurrency: 1,
  });
  await envoy.ready();
  const proc = (file: string) => readFileSync(`/proc/${envoy.pid}/${file}`, "utf8");
  return {
    url: `http://127.0.0.1:${port}`,
    process: envoy,
    cpuMicros: () => {
      // Nanoseconds on a processor; the process's own file tells them of its first thread alone.
      const spent = readdirSync(`/proc/${envoy.pid}/task`).map((task) =>
        Number(proc(`task/${task}/schedstat`).split(" ")[0]),
      );
      return spent.reduce((sum, nanos) => sum + nanos, 0) / 1e3;
    },
    memoryBytes: () => Number(/VmRSS:\s+(\d+)/.exec(proc("status"))?.[1] ?? 0) * 1024,
    stop: () => envoy.stop(),
  };
}

function bootstrap(
  port: number,
  virtualHost: object,
  filters: readonly object[],
  { backend, accessLog }: UnderTestOptions,
): object {
  const router = { name: "router", typed_config: { "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router` } };
  const manager = {
    "@type": `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "bench",
    generate_request_id: false,
    route_config: { name: "routes", virtual_hosts: [virtualHost] },
    http_filters: [...filters, router],
    ...(accessLog ? { access_log: [fileLog(accessLog)] } : {}),
  };
  const address = (host: string, number: number) => ({ socket_address: { address: host, port_value: number } });
  const endpoint = backend && { endpoint: { address: address(backend.host, backend.port) } };
  const cluster = {
    name: "backend",
    type: "STATIC",
    load_assignment: { cluster_name: "backend", endpoints: [{ lb_endpoints: [endpoint] }] },
  };
  return {
    node: { id: "bench", cluster: "bench" },
    admin: { address: address("127.0.0.1", 0) },
    static_resources: {
      listeners: [
        {
          name: "front",
          address: address("127.0.0.1", port),
          filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
        },
      ],
      clusters: backend ? [cluster] : [],
    },
  };
}

function fileLog({ path, format }: NonNullable<UnderTestOptions["accessLog"]>): object {
  const typed_config = {
    "@type": `${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog`,
    path,
    log_format: { text_format_source: { inline_string: format } },
  };
  return { name: "file", typed_config };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Load {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** Runs wrk with one thread, and throws where it is missing or an answer is not 200. */
export async function load(url: string, { path, headers, connections, seconds }: Load): Promise<LoadResult> {
  const directory = await mkdtemp(join(tmpdir(), "headgate-bench-"));
  const script = join(directory, "report.lua");
  await writeFile(script, REPORT);
  try {
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script];
    const flags = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const { stdout } = await run("wrk", [...args, ...flags, `${url}${path}`]);
    const report = JSON.parse(stdout.slice(stdout.indexOf("{")));
    if (report.failed > 0) throw new Error(`${report.failed} of ${report.requests} requests failed at ${url}${path}`);
    return report;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new Error("wrk is missing: install it (apt-get install wrk, brew install wrk), then run this again");
    }
    throw error;
  } finally {
    await rm(directory, { recursive: true });
  }
}

const REPORT = `done = function(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.timeout
  print(string.format('{"requests": %d, "failed": %d, "p50Micros": %d, "p99Micros": %d}',
    summary.requests, failed, latency:percentile(50), latency:percentile(99)))
end
`;
