// One proxy rejects what all are sent: how soon that is told, and whether it costs the others anything.
import { setTimeout as sleep } from "node:timers/promises";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { expectedOf } from "./changes.js";
import { now } from "./clock.js";
import { type MeasuredControlPlane, startMeasured } from "./control-plane.js";
import { type Fleet, startFleet } from "./fleet.js";
import { changeService, virtualHostOf, writeServices } from "./services.js";
import { median } from "./statistics.js";
import { inTemporaryDirectory } from "./temporary-directory.js";

export interface RejectedOptions {
  readonly services: number;
  readonly proxies: number;
  readonly rounds: number;
}

/** Milliseconds from a rejection's leaving the proxy until the admin tells of it. */
export interface RejectedFigures {
  readonly medianMillis: number;
  readonly slowestMillis: number;
  /** Responses to any proxy in the second after a rejection, in all rounds together. */
  readonly sentAgain: number;
}

const POLL_MILLIS = 10;
const MOST_MILLIS = 30_000;
const QUIET_MILLIS = 1_000;

export function measureRejected({ services, proxies, rounds }: RejectedOptions): Promise<RejectedFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, services);
    const controlPlane = await startMeasured({ directory });
    const fleet = startFleet();
    try {
      const expected = expectedOf(services);
      fleet.order({ order: "connect", address: controlPlane.ads, from: 0, to: proxies, namespaces: 1, expected });
      await fleet.next("connected");
      const millis: number[] = [];
      let sentAgain = 0;
      for (let round = 0; round < rounds; round++) {
        const change = (weight: number) => changeForAll(fleet, directory, round % services, weight);
        const error = `round ${round} is not wanted`;
        fleet.order({ order: "reject", typeUrl: VIRTUAL_HOST, error });
        const rejected = fleet.next("rejected", 60);
        await change(30);
        millis.push((await toldAt(controlPlane, error)) - (await rejected).at);
        sentAgain += await responsesIn(fleet, QUIET_MILLIS);
        await change(40);
      }
      return { medianMillis: median(millis), slowestMillis: Math.max(...millis), sentAgain };
    } finally {
      await Promise.all([fleet.close(), controlPlane.close()]);
    }
  });
}

/** Resolves when every proxy has got the changed service, be it to reject it. */
async function changeForAll(fleet: Fleet, directory: string, number: number, weight: number): Promise<void> {
  fleet.order({ order: "await", typeUrl: VIRTUAL_HOST, name: virtualHostOf(number) });
  const arrived = fleet.next("arrived", 60);
  await changeService(directory, number, { weight });
  await arrived;
}

async function toldAt({ admin }: MeasuredControlPlane, error: string): Promise<number> {
  for (const from = now(); now() - from < MOST_MILLIS; await sleep(POLL_MILLIS)) {
    const { proxies } = (await (await fetch(`http://${admin}/proxies`)).json()) as { proxies: ProxyView[] };
    if (proxies.some(({ types }) => types[VIRTUAL_HOST]?.lastError?.message === error)) return now();
  }
  throw new Error(`nobody was told of "${error}"`);
}

async function responsesIn(fleet: Fleet, millis: number): Promise<number> {
  const count = async () => {
    const counted = fleet.next("counted");
    fleet.order({ order: "count" });
    return (await counted).counts.responses;
  };
  const before = await count();
  await sleep(millis);
  return (await count()) - before;
}
