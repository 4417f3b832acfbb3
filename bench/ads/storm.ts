// A reconnect storm: every proxy of a large mesh comes back at once, first because its connection broke, then because the
// control plane was killed and another took its place. All of them hold already what they should have.

import { expectedOf } from "./changes.js";
import { now } from "./clock.js";
import { type MeasuredControlPlane, startMeasured } from "./control-plane.js";
import { type Fleet, startFleet } from "./fleet.js";
import type { FleetReport } from "./fleet-messages.js";
import { writeServices } from "./services.js";
import { inTemporaryDirectory } from "./temporary-directory.js";

export interface StormOptions {
  readonly services: number;
  readonly proxies: number;
}

/** Milliseconds and bytes. */
export interface StormFigures extends StormOptions {
  readonly firstSyncMillis: number;
  readonly firstSyncPeakRss: number;
  readonly reconnect: ReturnFigures;
  readonly restart: ReturnFigures;
}

export interface ReturnFigures {
  /** From when they could connect until the last one was answered on every type. */
  readonly convergedMillis: number;
  /** Resources that were sent, though every proxy said that it has them; bytes count the empty answers too. */
  readonly resourcesSent: number;
  readonly bytesSent: number;
  /** Streams that were turned away by the limit on new ones and came again. */
  readonly refused: number;
  readonly peakRss: number;
  readonly longestHoldMillis: number;
  /** Of the control plane, and of the proxies' process: on a machine that does other work they say more than the time. */
  readonly cpuMillis: number;
  readonly proxiesCpuMillis: number;
}

/** So few that nobody has to wait: the first time is not what is measured. */
const CONNECTS_PER_SECOND = 100;
const MOST_SECONDS = 600;

export function measureStorm(options: StormOptions): Promise<StormFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, options.services);
    let controlPlane = await startMeasured({ directory });
    const fleet = startFleet();
    try {
      const { ads } = controlPlane;
      const startedAt = now();
      fleet.order({
        order: "connect",
        address: ads,
        from: 0,
        to: options.proxies,
        namespaces: 1,
        expected: expectedOf(options.services),
        perSecond: CONNECTS_PER_SECOND,
      });
      const first = await fleet.next("connected", MOST_SECONDS);
      const { peakRss: firstSyncPeakRss } = await controlPlane.read();
      const reconnect = await comeBack(fleet, async () => {
        fleet.order({ order: "reconnect" });
        return { from: now(), controlPlane };
      });
      const restart = await comeBack(fleet, async () => {
        fleet.order({ order: "expect" });
        await controlPlane.kill();
        controlPlane = await startMeasured({ directory, ads });
        return { from: now(), controlPlane };
      });
      return { ...options, firstSyncMillis: first.at - startedAt, firstSyncPeakRss, reconnect, restart };
    } finally {
      await Promise.all([fleet.close(), controlPlane.close()]);
    }
  });
}

type Connected = Extract<FleetReport, { report: "connected" }>;

async function comeBack(
  fleet: Fleet,
  disturb: () => Promise<{ from: number; controlPlane: MeasuredControlPlane }>,
): Promise<ReturnFigures> {
  const connected: Promise<Connected> = fleet.next("connected", MOST_SECONDS);
  const { from, controlPlane } = await disturb();
  await controlPlane.read();
  const { at, counts, refused, cpuMillis: proxiesCpuMillis } = await connected;
  const { peakRss, longestHoldMillis, cpuMillis } = await controlPlane.read();
  return {
    convergedMillis: at - from,
    resourcesSent: counts.resources,
    bytesSent: counts.bytes,
    refused,
    peakRss,
    longestHoldMillis,
    cpuMillis,
    proxiesCpuMillis,
  };
}
