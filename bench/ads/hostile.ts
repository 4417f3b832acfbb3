// Clients that mean it ill, many at once, beside proxies that are served: what they cost these, and the process.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { expectedOf } from "./changes.js";
import { startMeasured } from "./control-plane.js";
import { type Fleet, startFleet } from "./fleet.js";
import { ADS_PATH, GrpcCall } from "./grpc-call.js";
import { changeService, virtualHostOf, writeServices } from "./services.js";
import { quantile } from "./statistics.js";
import { inTemporaryDirectory } from "./temporary-directory.js";
import { encodeRequest } from "./wire.js";

export interface HostileOptions {
  readonly services: number;
  readonly proxies: number;
  /** Streams that are opened and then say nothing. */
  readonly halfOpen: number;
  /** Requests of each other kind. */
  readonly requests: number;
}

/** Milliseconds and bytes. */
export interface HostileFigures {
  /** How hostile streams ended, by gRPC status. */
  readonly ended: Readonly<Record<string, number>>;
  /** Hostile streams, of either kind, that did not end within a minute. */
  readonly left: number;
  /** From a file's write to a proxy's acknowledgement: before, and while hostile clients are at it. */
  readonly quietP99Millis: number;
  readonly hostileP99Millis: number;
  /** How long a proxy that came meanwhile took until it had everything; it tries again when it is turned away. */
  readonly newProxyMillis: number;
  readonly memoryBytes: number;
  readonly lives: boolean;
}

const STREAMS_PER_CONNECTION = 100;
const CHANGES = 10;
const MOST_MILLIS = 60_000;
const TOO_LARGE = Buffer.alloc(4 * 1024 * 1024 + 1);
const NO_NODE = encodeRequest({ typeUrl: CLUSTER });
const GARBAGE = Buffer.alloc(1_000, 0xff);

export function measureHostile({ services, proxies, halfOpen, requests }: HostileOptions): Promise<HostileFigures> {
  return inTemporaryDirectory(async (directory) => {
    await writeServices(directory, services);
    const controlPlane = await startMeasured({ directory });
    const [fleet, late] = [startFleet(), startFleet()];
    const crowd = new Crowd(controlPlane.ads);
    const arrive = async (who: Fleet, from: number, to: number) => {
      const began = performance.now();
      const expected = expectedOf(services);
      who.order({ order: "connect", address: controlPlane.ads, from, to, namespaces: 1, expected });
      await who.next("connected");
      return performance.now() - began;
    };
    try {
      await arrive(fleet, 0, proxies);
      const quiet = await changeSome(fleet, directory, 0);
      const before = await controlPlane.read("collect");
      const atIt = crowd.comes(halfOpen, requests);
      const [hostile, newProxyMillis] = await Promise.all([
        changeSome(fleet, directory, CHANGES),
        arrive(late, proxies, proxies + 1),
        atIt,
      ]);
      const left = await crowd.leaves();
      await sleep(1_000);
      const after = await controlPlane.read("collect");
      return {
        ended: crowd.ended,
        left,
        quietP99Millis: quantile(quiet, 0.99),
        hostileP99Millis: quantile(hostile, 0.99),
        newProxyMillis,
        memoryBytes: after.rss - before.rss,
        lives: (await fetch(`http://${controlPlane.admin}/proxies`)).ok,
      };
    } finally {
      crowd.close();
      await Promise.all([fleet.close(), late.close(), controlPlane.close()]);
    }
  });
}

/** The latencies of some changes, of every proxy. */
async function changeSome(fleet: Fleet, directory: string, from: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let number = from; number < from + CHANGES; number++) {
    fleet.order({ order: "await", typeUrl: VIRTUAL_HOST, name: virtualHostOf(number) });
    const arrived = fleet.next("arrived", MOST_MILLIS / 1000);
    await sleep(100);
    const writtenAt = await changeService(directory, number, { weight: 30 });
    latencies.push(...(await arrived).at.map((at) => at - writtenAt));
  }
  return latencies;
}

class Crowd {
  /** By gRPC status; "none" where the connection was cut. */
  readonly ended: Record<string, number> = {};
  readonly #sessions: ClientHttp2Session[] = [];
  #open = 0;

  constructor(readonly address: string) {}

  /** Resolves when all have come, not when they are gone. */
  async comes(halfOpen: number, requests: number): Promise<void> {
    const messages = [TOO_LARGE, NO_NODE, GARBAGE];
    for (let count = 0; count < Math.max(halfOpen / STREAMS_PER_CONNECTION, requests); count++) {
      if (count < halfOpen / STREAMS_PER_CONNECTION) this.#openSilent(STREAMS_PER_CONNECTION);
      if (count < requests) for (const message of messages) this.#send(message);
      await sleep(20);
    }
  }

  /** Waits for the streams to end; resolves with how many do not. */
  async leaves(): Promise<number> {
    for (const from = performance.now(); this.#open > 0 && performance.now() - from < MOST_MILLIS; ) await sleep(100);
    return this.#open;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #send(message: Uint8Array): void {
    this.#open++;
    const call = new GrpcCall(this.address, ADS_PATH, { onMessage: () => {}, onEnd: (status) => this.#left(status) });
    call.send(() => message);
  }

  #openSilent(count: number): void {
    const session = connect(`http://${this.address}`);
    this.#sessions.push(session.on("error", () => {}));
    for (let index = 0; index < count; index++) this.#openSilentStream(session);
  }

  #openSilentStream(session: ClientHttp2Session): void {
    this.#open++;
    let status: string | undefined;
    const read = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) status = String(headers["grpc-status"]);
    };
    const stream: ClientHttp2Stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: ADS_PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
    });
    stream
      .on("response", read)
      .on("trailers", read)
      .on("error", () => {});
    stream
      .on("end", () => stream.destroy())
      .on("close", () => this.#left(status))
      .resume();
  }

  #left(status: string | undefined): void {
    this.#open--;
    const key = status ?? "none";
    this.ended[key] = (this.ended[key] ?? 0) + 1;
  }
}
