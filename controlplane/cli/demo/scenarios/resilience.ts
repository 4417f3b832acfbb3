// Scenarios 08 to 10: services that fail, stall and are overrun, and delays that are made on purpose.
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { binomialRange } from "../statistics.js";
import { ask, askMany } from "../traffic.js";
import { type Observation, percent, type Scenario, type Stage, through } from "./scenario.js";

/** What a service's back door takes and tells: see examples/bookinfo/control.ts. */
type Misbehaviour = number | "stall" | "half";
interface Received {
  readonly requests: Readonly<Record<string, number>>;
  readonly stalled: number;
}

/** Timers may come late on a busy machine, but never early. */
const LATENESS_MS = 4000;

export const retries: Scenario = {
  title: "08 timeout and retries",
  async run(stage) {
    await stage.apply("subsets.yaml", "08-ratings-timeout-retries.yaml");
    const ratings = stage.mesh.control("ratings-v1");
    await misbehave(ratings, { "/ratings/1": 503, "/ratings/2": "stall", "/ratings/3": "half" });
    const [failing, stalling, half] = await Promise.all(
      ["/ratings/1", "/ratings/2", "/ratings/3"].map((path) => ask(through(stage.mesh, "reviews-v2", "ratings", path))),
    );
    const { requests } = await received(ratings);
    await misbehave(ratings, {});
    const tries = (path: string) => requests[path] ?? 0;
    const seconds = (reply: { milliseconds: number } | undefined) =>
      `${((reply?.milliseconds ?? 0) / 1000).toFixed(1)} s`;
    return [
      {
        expected: "failing: 1 + 3 tries, then 503",
        observed: `${tries("/ratings/1")} tries, then ${failing?.status}`,
        requests: 1,
        held: tries("/ratings/1") === 4 && failing?.status === 503,
      },
      {
        expected: "stalling: 4 tries of 2 s, then 504",
        observed: `${tries("/ratings/2")} tries, then ${stalling?.status} after ${seconds(stalling)}`,
        requests: 1,
        held: tries("/ratings/2") === 4 && stalling?.status === 504 && lasted(stalling.milliseconds, 8000),
      },
      {
        expected: "half an answer: cut after 10 s",
        observed: `${half?.complete ? "complete" : "cut"} after ${seconds(half)}, ${tries("/ratings/3")} try`,
        requests: 1,
        held: half?.complete === false && tries("/ratings/3") === 1 && lasted(half.milliseconds, 10_000),
      },
    ];
  },
};

function lasted(milliseconds: number, expected: number): boolean {
  return milliseconds >= expected - 50 && milliseconds <= expected + LATENESS_MS;
}

export const maxConnections: Scenario = {
  title: "09 max connections",
  async run({ mesh, apply }) {
    await apply("09-reviews-max-connections.yaml", "09-reviews-to-v1.yaml");
    const most = 100;
    const reviews = mesh.control("reviews-v1");
    await misbehave(reviews, { "/reviews/1": "stall" });
    const cluster = "cluster.outbound|9080|v1|reviews.bookinfo.svc.cluster.local";
    const stat = (name: string) => mesh.stat("productpage-v1", `${cluster}.${name}`);
    const overflowBefore = await stat("upstream_cx_overflow");
    const hangUp = new AbortController();
    setMaxListeners(most + 1, hangUp.signal);
    const question = { ...through(mesh, "productpage-v1", "reviews", "/reviews/1"), signal: hangUp.signal };
    const asked = Array.from({ length: most + 1 }, () => ask(question).catch(() => undefined));
    for (let i = 0; i < 250 && (await received(reviews)).stalled < most; i += 1) await sleep(20);
    // Time for one more to come through, if it could.
    await sleep(300);
    const { stalled } = await received(reviews);
    const [active, overflow] = [
      await stat("upstream_cx_active"),
      (await stat("upstream_cx_overflow")) - overflowBefore,
    ];
    hangUp.abort();
    await Promise.all(asked);
    await misbehave(reviews, {});
    return [
      {
        expected: `${most + 1} at once: ${most} connections`,
        observed: `${active} connections, overflow ${overflow}`,
        requests: most + 1,
        held: active === most && stalled === most && overflow >= 1,
      },
    ];
  },
};

export const delays: Scenario = {
  title: "10 delay",
  async run(stage) {
    await stage.apply("subsets.yaml", "10-ratings-delay.yaml");
    const rare = await delayed(stage, 15_000, 0.001, 5000);
    await stage.apply("subsets.yaml", "10-ratings-delay-visible.yaml");
    return [rare, await delayed(stage, 2000, 0.1, 1000)];
  },
};

/**
 * Counts the requests that took as long as the delay, but no more than the filter says that it delayed: on a busy machine an
 * answer may come as late by itself.
 */
async function delayed({ mesh }: Stage, n: number, share: number, delayMs: number): Promise<Observation> {
  const injected = () => mesh.stat("reviews-v2", "wasmcustom.headgate.delays_injected");
  const before = await injected();
  let [late, failed] = [0, 0];
  await askMany(through(mesh, "reviews-v2", "ratings", "/ratings/0"), n, 64, ({ status, milliseconds }) => {
    if (status !== 200) failed += 1;
    if (milliseconds >= delayMs) late += 1;
  });
  const waited = Math.min(late, (await injected()) - before);
  const { least, most } = binomialRange(n, share);
  return {
    expected: `${percent(share)} wait ${delayMs / 1000} s (${least} to ${most})`,
    observed: `${waited} waited (${percent(waited / n)})${failed > 0 ? `, ${failed} failed` : ""}`,
    requests: n,
    held: failed === 0 && waited >= least && waited <= most,
  };
}

async function misbehave(control: string, rules: Readonly<Record<string, Misbehaviour>>): Promise<void> {
  await fetch(`http://${control}/`, { method: "PUT", body: JSON.stringify(rules) });
}

async function received(control: string): Promise<Received> {
  return (await (await fetch(`http://${control}/`)).json()) as Received;
}
