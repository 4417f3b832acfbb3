// A real ADS server on a free loopback port, with a clock that the test turns and clients that play by a script.
import type { Client, Metadata } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { SnapshotCache } from "../../../controlplane/xds/cache.js";
import type { AdsEvent } from "../../../controlplane/xds/events.js";
import { type AdsOptions, type AdsServer, createAdsServer } from "../../../controlplane/xds/server.js";
import { snapshot } from "./resources.js";
import { connect, ScriptedStream } from "./script.js";
import { TurnedClock } from "./turned-clock.js";

const FENCE = "type.googleapis.com/test.Fence";

export interface Stage {
  readonly server: AdsServer;
  readonly address: string;
  readonly cache: SnapshotCache;
  readonly clock: TurnedClock;
  readonly events: AdsEvent[];
  /** All streams of one stage share one connection, unless they bring a client of their own. */
  open(variant: "delta" | "sotw", id?: string, options?: { client?: Client; metadata?: Metadata }): ScriptedStream;
  /**
   * Resolves when the server has done all that it had to do for what was sent before. Another stream on the same
   * connection asks for something: the server serves streams in turn, so the answer comes after theirs.
   */
  fence(): Promise<void>;
}

const AT_ONCE = { quietMillis: 0, removalDelayMillis: 0 };

/** In place of options: the server's own, in all that the stage itself does not need. */
export const OWN_OPTIONS = Symbol("the server's own options");

/** Snapshots lie under the node's id. Changes are taken over and removals go out without delay, unless set otherwise. */
export async function stage(asked: Partial<AdsOptions> | typeof OWN_OPTIONS = {}): Promise<Stage> {
  const options: Partial<AdsOptions> = asked === OWN_OPTIONS ? {} : { ...AT_ONCE, ...asked };
  const cache = new SnapshotCache();
  const clock = new TurnedClock();
  const events: AdsEvent[] = [];
  const onConnect = options.onConnect ?? ((node) => ({ key: node.id }));
  const server = createAdsServer({
    cache,
    clock,
    onEvent: (event) => events.push(event),
    ...options,
    onConnect: (node, peer, metadata) => (node.id === "fence" ? { key: "fence" } : onConnect(node, peer, metadata)),
  });
  const address = await server.listen("127.0.0.1:0");
  const client = connect(address);
  onTestFinished(async () => {
    client.close();
    await server.close();
  });
  cache.set("fence", snapshot({ [FENCE]: { fence: "1" } }));
  return {
    server,
    address,
    cache,
    clock,
    events,
    open: (variant, id = "proxy", { client: own, metadata } = {}) =>
      new ScriptedStream(own ?? client, variant, id, metadata),
    async fence() {
      for (let round = 0; round < 2; round++) {
        const stream = new ScriptedStream(client, "delta", "fence");
        stream.subscribe(FENCE, "fence");
        await stream.receive();
        stream.cancel();
      }
    },
  };
}
