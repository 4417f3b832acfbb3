// A TCP relay in front of a server, so that a test can break a client's connections and keep it away for a while.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Scope } from "./scope.js";

export interface Relay {
  readonly host: string;
  readonly port: number;
  /** Connections let through since the start. */
  readonly passed: number;
  /** Resets all connections, and every new one until `mend`. */
  cut(): void;
  mend(): void;
}

/** Relays to host:port, which may come and go. */
export async function startRelay(
  scope: Scope,
  target: { readonly host: string; readonly port: number },
): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let passed = 0;
  const server = createServer((client) => {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    passed++;
    const upstream = connect(target);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { address: host, port } = server.address() as AddressInfo;
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  scope.use({
    async close() {
      server.close();
      reset();
      await once(server, "close");
    },
  });
  return {
    host,
    port,
    get passed() {
      return passed;
    },
    cut() {
      isCut = true;
      reset();
    },
    mend() {
      isCut = false;
    },
  };
}
