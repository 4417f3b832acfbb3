// A TCP relay between a client and a server, which can cut what goes through it and lead elsewhere.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Scope } from "./scope.js";

export interface Relay {
  readonly port: number;
  /** Connections let through since the start. */
  readonly passed: number;
  /** Connections that are open. */
  readonly open: number;
  /** Ends every connection. */
  cut(): void;
  /** Refuses new connections, or takes them again. */
  refuse(refused: boolean): void;
  /** Leads new connections to another port of 127.0.0.1, and cuts those that are open. */
  leadTo(port: number): void;
}

export async function startRelay(scope: Scope, target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let [port, refused, passed] = [target, false, 0];
  const server = createServer((client) => {
    if (refused) {
      client.destroy();
      return;
    }
    passed++;
    const upstream = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  scope.use({
    close: () => {
      cut();
      server.close();
    },
  });
  return {
    port: (server.address() as AddressInfo).port,
    get passed() {
      return passed;
    },
    get open() {
      return sockets.size / 2;
    },
    cut,
    refuse(value) {
      refused = value;
    },
    leadTo(other) {
      port = other;
      cut();
    },
  };
}
