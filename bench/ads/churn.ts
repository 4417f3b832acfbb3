// A day's changes in minutes, while proxies come and go: what grows in the control plane must stop growing.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { expectedOf } from "./changes.js";
import { type MeasuredControlPlane, startMeasured } from "./control-plane.js";
import { startFleet } from "./fleet.js";
import { changeService, virtualHostOf, writeServices } from "./services.js";
import { inTemporaryDirectory } from "./temporary-directory.js";

export interface ChurnOptions {
  readonly services: number;
  readonly proxies: number;
  readonly changes: number;
}

/** Bytes after garbage was collected, and counts: when a tenth of the changes was made, and at the end. */
export interface ChurnFigures extends ChurnOptions {
  readonly seconds: number;
  readonly rss: readonly [early: number, late: number];
  readonly heap: readonly [early: number, late: number];
  readonly openFiles: readonly [early: number, late: number];
  /** Files and directories that the kernel watches for it. */
  readonly watches: readonly [early: number, late: number];
  /** What the control plane counts as connected at the end. */
  readonly streams: number;
}

const WRITES_AT_ONCE = 20;
const PAUSE_MILLIS = 10;
/** All proxies reconnect this often. */
const RECONNECTS = 40;

export function measureChurn(options: ChurnOptions): Promise<ChurnFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, options.services);
    const controlPlane = await startMeasured({ directory });
    const fleet = startFleet();
    try {
      const { services, proxies, changes } = options;
      const expected = expectedOf(services);
      fleet.order({ order: "connect", address: controlPlane.ads, from: 0, to: proxies, namespaces: 1, expected });
      await fleet.next("connected");
      const startedAt = performance.now();
      let made = 0;
      const makeUntil = async (end: number) => {
        for (; made < end; made += WRITES_AT_ONCE) {
          await changeSome(directory, services, made);
          if (made % Math.ceil(changes / RECONNECTS / WRITES_AT_ONCE) < 1) await reconnect();
          await sleep(PAUSE_MILLIS);
        }
      };
      const reconnect = async () => {
        const connected = fleet.next("connected");
        fleet.order({ order: "reconnect" });
        await connected;
      };
      const settle = async () => {
        fleet.order({ order: "await", typeUrl: VIRTUAL_HOST, name: virtualHostOf(0) });
        const arrived = fleet.next("arrived");
        await sleep(1_000);
        await changeService(directory, 0, { weight: 1 + (Math.floor(made / 7) % 40) });
        await arrived;
        await sleep(3_000);
      };
      await makeUntil(changes / 10);
      await settle();
      const early = await stateOf(controlPlane);
      await makeUntil(changes);
      await settle();
      const late = await stateOf(controlPlane);
      return {
        ...options,
        seconds: (performance.now() - startedAt) / 1000,
        rss: [early.rss, late.rss],
        heap: [early.heap, late.heap],
        openFiles: [early.openFiles, late.openFiles],
        watches: [early.watches, late.watches],
        streams: await connectedStreams(controlPlane),
      };
    } finally {
      await Promise.all([fleet.close(), controlPlane.close()]);
    }
  });
}

/** Rules and endpoints of neighbouring services. */
async function changeSome(directory: string, services: number, from: number): Promise<void> {
  const numbers = Array.from({ length: WRITES_AT_ONCE }, (_, index) => from + index);
  await Promise.all(
    numbers.map((number) =>
      changeService(directory, number % services, {
        weight: 1 + (Math.floor(number / services) % 97),
        endpoint: number % 3 === 0 ? 2 + (Math.floor(number / services) % 200) : 1,
      }),
    ),
  );
}

async function stateOf(controlPlane: MeasuredControlPlane) {
  await controlPlane.read("collect");
  await sleep(1_000);
  const { rss, heap } = await controlPlane.read("collect");
  const openFiles = readdirSync(`/proc/${controlPlane.pid}/fd`).length;
  return { rss, heap, openFiles, watches: watchesOf(controlPlane.pid) };
}

function watchesOf(pid: number): number {
  const counts = readdirSync(`/proc/${pid}/fdinfo`).map((file) => {
    try {
      return readFileSync(`/proc/${pid}/fdinfo/${file}`, "utf8").match(/^inotify /gm)?.length ?? 0;
    } catch {
      // It was closed since it was listed.
      return 0;
    }
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

async function connectedStreams({ admin }: MeasuredControlPlane): Promise<number> {
  const answer = await fetch(`http://${admin}/proxies`);
  const { proxies } = (await answer.json()) as { proxies: { connected: boolean }[] };
  return proxies.filter(({ connected }) => connected).length;
}
