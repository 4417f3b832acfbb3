// `npm run bench:kube`: a control plane that starts on a large cluster: how soon it serves, and in how much memory.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { startTestEnvoy } from "../../test/harness/envoy.js";
import { createScope, type Scope } from "../../test/harness/scope.js";
import { findKubeBinaries } from "../../test/kube/support/binaries.js";
import { type Cluster, startCluster } from "../../test/kube/support/cluster.js";
import { installCustomResources } from "../../test/kube/support/custom-resources.js";
import { populate } from "./population.js";

/** What is promised for 5,000 services. */
const SERVING_SECONDS = 15;
const MOST_RSS = 800_000_000;

const { values } = parseArgs({
  options: { services: { type: "string", default: "5000" }, check: { type: "boolean", default: false } },
});
const say = (text: string) => process.stderr.write(`${text}\n`);

const binaries = await findKubeBinaries({ env: process.env, get: true, onProgress: say });
if ("error" in binaries) {
  say(binaries.error);
  process.exitCode = 1;
} else {
  const scope = createScope();
  try {
    await measure(scope, Number(values.services));
  } finally {
    await scope.close();
  }
}

async function measure(scope: Scope, services: number): Promise<void> {
  const cluster = await startCluster(scope);
  await installCustomResources(cluster.client);
  say(`Making ${services} services with 2 pods each`);
  await populate(cluster.client, services);
  say("Starting the control plane");
  const { pid, ads, seconds } = await startCold(scope, cluster);
  const atStart = peakRss(pid);
  const [host = "", port = ""] = ads.split(":");
  const identity = {
    role: "sidecar",
    name: "bench",
    namespace: "default",
    labels: {},
    interceptionMode: "NONE",
  } as const;
  const node = { ...identity, addresses: ["127.0.0.1"] as const, unprivileged: true };
  await startTestEnvoy(scope, createBootstrap(node, { ads: { host, port: Number(port) } }), { until: "live" });
  await sleep(15_000);
  const served = peakRss(pid);
  const report = [
    `${services} services, serving after ${seconds.toFixed(1)} s (at most ${SERVING_SECONDS})`,
    `peak RSS when it served ${megabytes(atStart)}, with a sidecar that has all of them ${megabytes(served)} (at most ${megabytes(MOST_RSS)})`,
  ];
  process.stdout.write(`${report.join("\n")}\n`);
  if (values.check && (seconds > SERVING_SECONDS || served > MOST_RSS)) process.exitCode = 1;
}

async function startCold(scope: Scope, { kubeconfig }: Cluster) {
  const started = performance.now();
  const args = ["serve", "--kube", "--kubeconfig", kubeconfig, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const child = spawn(process.execPath, [packagePath("bin", "headgate.mjs"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  scope.use({ close: () => child.kill("SIGKILL") });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { ads } = JSON.parse(line) as { ads: string };
  return { pid: child.pid as number, ads, seconds: (performance.now() - started) / 1_000 };
}

/** Bytes; Linux tells it. */
function peakRss(pid: number): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1] ?? Number.NaN) * 1_024;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`;
}
