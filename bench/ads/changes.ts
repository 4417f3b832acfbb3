// The table: a control plane with so many services and proxies, its first synchronisation, and single changes after it.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER, ENDPOINTS, EXTENSION_CONFIG, LISTENER, ROUTES, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { now } from "./clock.js";
import { type MeasuredControlPlane, startMeasured } from "./control-plane.js";
import { type Fleet, startFleet } from "./fleet.js";
import type { Expected } from "./fleet-messages.js";
import { changeService, virtualHostOf, writeServices } from "./services.js";
import { median } from "./statistics.js";
import { inTemporaryDirectory } from "./temporary-directory.js";

export interface ChangeOptions {
  readonly services: number;
  readonly proxies: number;
  readonly namespaces: number;
  readonly changes: number;
  /** Where CPU profiles of the first synchronisation and of the changes are written, if anywhere. */
  readonly profileDirectory?: string;
}

/** Milliseconds and bytes; of the changes of a run, medians. */
export interface ChangeFigures {
  readonly services: number;
  readonly proxies: number;
  readonly namespaces: number;
  readonly startMillis: number;
  readonly firstSyncMillis: number;
  /** CPU time meanwhile: the control plane's, and that of the process with all simulated proxies. */
  readonly firstSyncCpuMillis: number;
  readonly firstSyncCpuMillisOfProxies: number;
  readonly firstSyncBytesPerProxy: number;
  /** From a file's write to the last proxy's acknowledgement. */
  readonly changeMillis: number;
  readonly slowestChangeMillis: number;
  readonly changeBytesPerProxy: number;
  readonly changeCpuMillis: number;
  /** Of a second without changes. */
  readonly idleCpuMillis: number;
  readonly peakRss: number;
  /** The longest that the event loop was held: while all connected, and during changes, those to warm up included. */
  readonly firstSyncHoldMillis: number;
  readonly changeHoldMillis: number;
  /** The same without the time in which the main thread waited for a processor. */
  readonly firstSyncWorkMillis: number;
  readonly changeWorkMillis: number;
}

const WARM_UP_CHANGES = 3;
const IDLE_MILLIS = 5_000;
const PAUSE_MILLIS = 300;

/** All that a proxy of the measured mesh holds: 3 clusters with endpoints and one virtual host a service. */
export function expectedOf(services: number): Expected {
  const outbound = 3 * services;
  return {
    [CLUSTER]: outbound,
    [ENDPOINTS]: outbound,
    [LISTENER]: 1,
    [ROUTES]: 1,
    [EXTENSION_CONFIG]: 1,
    [VIRTUAL_HOST]: services,
  };
}

/** Of each figure the median of so many runs, each with a control plane of its own. */
export async function measureChanges(options: ChangeOptions, runs: number): Promise<ChangeFigures> {
  const measured: ChangeFigures[] = [];
  for (let run = 0; run < runs; run++) measured.push(await measureRun(options));
  const [first] = measured;
  if (first === undefined) throw new RangeError("at least one run is needed");
  const figures = Object.keys(first) as (keyof ChangeFigures)[];
  const medians = figures.map((figure) => [figure, median(measured.map((row) => row[figure]))]);
  return Object.fromEntries(medians) as ChangeFigures;
}

function measureRun(options: ChangeOptions): Promise<ChangeFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, options.services);
    const controlPlane = await startMeasured({ directory });
    const fleet = startFleet();
    try {
      return await measure(options, directory, controlPlane, fleet);
    } finally {
      await Promise.all([fleet.close(), controlPlane.close()]);
    }
  });
}

async function measure(
  options: ChangeOptions,
  directory: string,
  controlPlane: MeasuredControlPlane,
  fleet: Fleet,
): Promise<ChangeFigures> {
  const { services, proxies, namespaces, profileDirectory } = options;
  const profile = async (name: string | undefined) => {
    if (profileDirectory === undefined) return;
    await controlPlane.read({ profile: name && join(profileDirectory, `${name}.cpuprofile`) });
  };
  await profile("first-sync");
  await controlPlane.read();
  const connectedAt = now();
  const expected = expectedOf(services);
  fleet.order({ order: "connect", address: controlPlane.ads, from: 0, to: proxies, namespaces, expected });
  const connected = await fleet.next("connected");
  const atSync = await controlPlane.read();
  await profile("changes");
  await sleep(IDLE_MILLIS / 2);
  await controlPlane.read();
  await sleep(IDLE_MILLIS);
  const idle = (await controlPlane.read()).cpuMillis / IDLE_MILLIS;
  const changes: Change[] = [];
  let [changeHoldMillis, changeWorkMillis] = [0, 0];
  for (let index = -WARM_UP_CHANGES; index < options.changes; index++) {
    const change = await measureChange(index + WARM_UP_CHANGES, options, directory, controlPlane, fleet, idle);
    changeHoldMillis = Math.max(changeHoldMillis, change.holdMillis);
    changeWorkMillis = Math.max(changeWorkMillis, change.workMillis);
    if (index >= 0) changes.push(change);
  }
  await profile(undefined);
  const { peakRss } = await controlPlane.read();
  const each = (figure: (change: Change) => number) => changes.map(figure);
  return {
    services,
    proxies,
    namespaces,
    startMillis: controlPlane.startMillis,
    firstSyncMillis: connected.at - connectedAt,
    firstSyncCpuMillis: atSync.cpuMillis,
    firstSyncCpuMillisOfProxies: connected.cpuMillis,
    firstSyncBytesPerProxy: connected.counts.bytes / proxies,
    changeMillis: median(each((change) => change.millis)),
    slowestChangeMillis: Math.max(...each((change) => change.millis)),
    changeBytesPerProxy: median(each((change) => change.bytes / proxies)),
    changeCpuMillis: median(each((change) => change.cpuMillis)),
    idleCpuMillis: idle * 1000,
    peakRss,
    firstSyncHoldMillis: atSync.longestHoldMillis,
    changeHoldMillis,
    firstSyncWorkMillis: atSync.longestWorkMillis,
    changeWorkMillis,
  };
}

interface Change {
  readonly millis: number;
  readonly bytes: number;
  readonly cpuMillis: number;
  readonly holdMillis: number;
  readonly workMillis: number;
}

/** Changes one VirtualService; what the process does without changes is taken off its CPU time. */
async function measureChange(
  index: number,
  { services }: ChangeOptions,
  directory: string,
  controlPlane: MeasuredControlPlane,
  fleet: Fleet,
  idle: number,
): Promise<Change> {
  const number = (index * 7919) % services;
  fleet.order({ order: "await", typeUrl: VIRTUAL_HOST, name: virtualHostOf(number) });
  const arrived = fleet.next("arrived", 60);
  await sleep(PAUSE_MILLIS);
  await controlPlane.read();
  const writtenAt = await changeService(directory, number, { weight: 50 + (index % 29) });
  const { at } = await arrived;
  await sleep(PAUSE_MILLIS);
  const { cpuMillis, longestHoldMillis, longestWorkMillis } = await controlPlane.read();
  const took = Math.max(...at) - writtenAt;
  fleet.order({ order: "count" });
  const { counts } = await fleet.next("counted");
  return {
    millis: took,
    bytes: counts.bytes,
    cpuMillis: cpuMillis - idle * (took + PAUSE_MILLIS),
    holdMillis: longestHoldMillis,
    workMillis: longestWorkMillis,
  };
}
