// Repoints under load: a rule leads from one cluster to the next, each made for that moment and taken away after it, and
// every request must have been answered by the backend that was right when it was under way.
import { rename, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loopbackAddress } from "../harness/addresses.js";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { httpService } from "../harness/policies.js";
import type { Scope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { proxyViewsOf, startSidecar } from "./sidecar.js";

export interface Repointing {
  readonly repoints: number;
  readonly requestsPerSecond: number;
}

export interface RepointResult {
  readonly requests: number;
  /** Requests without an answer or with another status than 200. */
  readonly failed: readonly string[];
  /** Requests that a backend answered to which no rule led while they were under way. */
  readonly misrouted: readonly string[];
  /** Milliseconds from a file's write until the proxy had acknowledged it, as the admin tells. */
  readonly millis: readonly number[];
}

/** A backend may answer from when the rule that leads to it is written until the next one is acknowledged. */
interface Period {
  readonly backend: string;
  readonly from: number;
  until: number;
}

const VERSIONS = ["v1", "v2"] as const;
const HOST = "shop.default.svc.cluster.local";

export async function repoint(scope: Scope, { repoints, requestsPerSecond }: Repointing): Promise<RepointResult> {
  const directory = await scope.directory();
  const backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
  await writeFile(join(directory, "service.yaml"), httpService("shop", backends));
  await writeFile(join(directory, "rule.yaml"), ruleTo(0));
  const controlPlane = await startServe(scope, ["--config", directory, ...["--ads", "--admin"].flatMap(onAnyPort)]);
  const address = await loopbackAddress(scope);
  await startSidecar(scope, { ads: controlPlane.ads, address, name: "client" });
  const periods: Period[] = [{ backend: VERSIONS[0], from: 0, until: Number.POSITIVE_INFINITY }];
  const load = startPacedLoad(`http://${address}:9080/`, requestsPerSecond, periods, Object.values(backends));
  const millis: number[] = [];
  for (let count = 1; count <= repoints; count++) {
    const from = performance.now();
    const last = periods.at(-1) as Period;
    periods.push({ backend: backendOf(count), from, until: Number.POSITIVE_INFINITY });
    const { revision } = await proxyViewsOf(controlPlane.admin);
    await writeFile(join(directory, ".rule.yaml"), ruleTo(count));
    await rename(join(directory, ".rule.yaml"), join(directory, "rule.yaml"));
    await eventually(`the proxy has acknowledged repoint ${count}`, async () => {
      const { proxies } = await proxyViewsOf(controlPlane.admin);
      return proxies.every((proxy) => proxy.acknowledgedRevision > revision);
    });
    last.until = performance.now();
    millis.push(last.until - from);
  }
  return { ...(await load.stop()), millis };
}

function onAnyPort(flag: string): string[] {
  return [flag, "127.0.0.1:0"];
}

function backendOf(count: number): string {
  return VERSIONS[count % 2] as string;
}

/** The subset, and so the cluster, is one that was never there before; that of the rule before is gone. */
function ruleTo(count: number): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  subsets: [{name: s${count}, labels: {version: ${backendOf(count)}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http:
  - route: [{destination: {host: shop, subset: s${count}}}]
`;
}

function startPacedLoad(url: string, perSecond: number, periods: readonly Period[], backends: readonly Backend[]) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const failed: string[] = [];
  const misrouted: string[] = [];
  const underWay = new Set<Promise<void>>();
  let requests = 0;
  let stopped = false;
  const send = async (number: number) => {
    const from = performance.now();
    try {
      const { status, body } = await ask(url, { headers: { host: HOST }, agent });
      if (status !== 200) failed.push(`${number}: ${status} ${body}`);
      else if (!mayAnswer(JSON.parse(body).backend, from, performance.now(), periods)) {
        misrouted.push(`${number}: ${JSON.parse(body).backend}`);
      }
    } catch (error) {
      failed.push(`${number}: ${error}`);
    }
  };
  const pace = async () => {
    for (const started = performance.now(); !stopped; await sleep(1)) {
      const due = ((performance.now() - started) / 1000) * perSecond;
      for (; requests < due; requests++) {
        const one: Promise<void> = send(requests).finally(() => underWay.delete(one));
        underWay.add(one);
      }
      // What the backends were asked is of no interest here, and there is much of it.
      for (const backend of backends) backend.requests.length = 0;
    }
  };
  const paced = pace();
  return {
    async stop() {
      stopped = true;
      await paced;
      await Promise.all(underWay);
      agent.destroy();
      return { requests, failed, misrouted };
    },
  };
}

function mayAnswer(backend: string, from: number, until: number, periods: readonly Period[]): boolean {
  return periods.some((period) => period.backend === backend && period.from <= until && period.until >= from);
}
