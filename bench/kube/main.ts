// `npm run bench:kube`: how soon a control plane serves that starts on a large cluster, and in how much memory; how soon
// endpoints come and go; how long a hostile object holds it up.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { table } from "../../controlplane/cli/table.js";
import { startTestEnvoy } from "../../test/harness/envoy.js";
import { createScope, type Scope } from "../../test/harness/scope.js";
import { findKubeBinaries } from "../../test/kube/support/binaries.js";
import { type Cluster, startCluster } from "../../test/kube/support/cluster.js";
import { installCustomResources } from "../../test/kube/support/custom-resources.js";
import { measureEndpoints } from "./endpoints.js";
import { measureHostile } from "./hostile.js";
import { populate } from "./population.js";

/** What is promised: seconds and bytes for 5,000 services, milliseconds for an endpoint and for one object. */
const TARGETS = { serving: 15, rss: 800_000_000, endpoint: 1_000, hold: 100 };

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
  say("An object with 10,000 expressions");
  const hold = await measureHostile(cluster);
  say("Endpoints that come and go under load");
  const inner = createScope();
  const endpoints = await measureEndpoints(inner, cluster);
  await inner.close();
  say(`Making ${services} services with 2 pods each`);
  await populate(cluster.client, services);
  say("Starting the control plane");
  const { seconds, rss } = await measureStart(scope, cluster);
  const judged = [
    ["held up by a hostile object", `${Math.round(hold)} ms`, hold <= TARGETS.hold],
    [
      "last request of an endpoint that is not ready",
      `${Math.round(endpoints.unready)} ms`,
      endpoints.unready <= TARGETS.endpoint,
    ],
    ["first request of a new endpoint", `${Math.round(endpoints.added)} ms`, endpoints.added <= TARGETS.endpoint],
    ["requests that failed meanwhile", String(endpoints.failed), endpoints.failed === 0],
    [`${services} services: serving after`, `${seconds.toFixed(1)} s`, seconds <= TARGETS.serving],
    ["its peak RSS, with a sidecar that has all of them", `${Math.round(rss / 1e6)} MB`, rss <= TARGETS.rss],
  ] as const;
  const rows = judged.map(([name, measured, met]) => [name, measured, met ? "yes" : "NO"]);
  process.stdout.write(`${table(["TARGET", "MEASURED", "MET"], rows)}\n`);
  if (values.check && judged.some(([, , met]) => !met)) process.exitCode = 1;
}

async function measureStart(scope: Scope, cluster: Cluster) {
  const { pid, ads, seconds } = await startCold(scope, cluster);
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
  return { seconds, rss: peakRss(pid) };
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
