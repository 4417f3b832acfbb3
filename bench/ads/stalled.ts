// One client that stops reading while it is being sent its first configuration: what that costs the others, and the
// control plane's memory. Rounds with and without it take turns, so that what else the machine does meets both alike.
import { setTimeout as sleep } from "node:timers/promises";
import { VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { expectedOf } from "./changes.js";
import { type MeasuredControlPlane, startMeasured } from "./control-plane.js";
import { type Fleet, startFleet } from "./fleet.js";
import { changeService, virtualHostOf, writeServices } from "./services.js";
import { quantile } from "./statistics.js";
import { inTemporaryDirectory } from "./temporary-directory.js";

export interface StalledOptions {
  readonly services: number;
  readonly proxies: number;
  readonly rounds: number;
}

/** Milliseconds from a file's write to a proxy's acknowledgement, of every proxy and change; bytes. */
export interface StalledFigures {
  readonly withoutMillis: { readonly p50: number; readonly p99: number };
  readonly withMillis: { readonly p50: number; readonly p99: number };
  /** The difference of the medians, after garbage was collected. */
  readonly memoryBytes: number;
}

const CHANGES_PER_ROUND = 10;
/** How long the client reads before it stops: it then has a part of its first configuration. */
const READING_MILLIS = 150;
const PAUSE_MILLIS = 100;

export function measureStalled(options: StalledOptions): Promise<StalledFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, options.services);
    const controlPlane = await startMeasured({ directory });
    const others = startFleet();
    try {
      connect(others, controlPlane, options.services, 0, options.proxies);
      await others.next("connected");
      return await measure(options, directory, controlPlane, others);
    } finally {
      await Promise.all([others.close(), controlPlane.close()]);
    }
  });
}

async function measure(
  { services, rounds }: StalledOptions,
  directory: string,
  controlPlane: MeasuredControlPlane,
  others: Fleet,
): Promise<StalledFigures> {
  const latencies = { with: [] as number[], without: [] as number[] };
  const memory = { with: [] as number[], without: [] as number[] };
  let index = 0;
  for (let round = 0; round < rounds * 2; round++) {
    const side = round % 2 === 0 ? "without" : "with";
    const stalled = side === "with" ? await startStalled(controlPlane, services, 1_000 + round) : undefined;
    for (let change = 0; change < CHANGES_PER_ROUND; change++) {
      const found = await changeOnce(index++, services, directory, others);
      // The first of a round meets what starting the client left behind.
      if (change > 0) latencies[side].push(...found);
    }
    memory[side].push((await controlPlane.read("collect")).rss);
    await stalled?.close();
  }
  const quantiles = (values: readonly number[]) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });
  return {
    withoutMillis: quantiles(latencies.without),
    withMillis: quantiles(latencies.with),
    memoryBytes: quantile(memory.with, 0.5) - quantile(memory.without, 0.5),
  };
}

/** The process is stopped by a signal: its sockets fill up, as those of a machine that hangs. */
async function startStalled(controlPlane: MeasuredControlPlane, services: number, number: number): Promise<Fleet> {
  const fleet = startFleet();
  connect(fleet, controlPlane, services, number, number + 1);
  await sleep(READING_MILLIS);
  process.kill(fleet.pid, "SIGSTOP");
  await sleep(READING_MILLIS);
  return fleet;
}

function connect(fleet: Fleet, { ads }: MeasuredControlPlane, services: number, from: number, to: number): void {
  fleet.order({ order: "connect", address: ads, from, to, namespaces: 1, expected: expectedOf(services) });
}

async function changeOnce(index: number, services: number, directory: string, fleet: Fleet): Promise<number[]> {
  const number = index % services;
  fleet.order({ order: "await", typeUrl: VIRTUAL_HOST, name: virtualHostOf(number) });
  const arrived = fleet.next("arrived", 60);
  await sleep(PAUSE_MILLIS);
  const writtenAt = await changeService(directory, number, { weight: 1 + (Math.floor(index / services) % 49) });
  return (await arrived).at.map((at) => at - writtenAt);
}
