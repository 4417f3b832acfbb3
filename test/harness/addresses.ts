// Addresses and ports that no other test, run or person on the machine is using.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Scope } from "./scope.js";

/** A TCP port that is free on host right now; the kernel hands out another one to whoever asks next. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Holding this UDP port on an address is what claims the address; tests use TCP. */
const CLAIM_PORT = 40_009;
let next = process.pid * 251;

/**
 * An address of 127.64.0.0/10 that is nobody else's while the scope is open, so that fixed ports can be bound on it.
 * The kernel keeps it so, across processes: the claim is a bound socket.
 */
export async function loopbackAddress(scope: Scope): Promise<string> {
  for (;;) {
    const n = next++;
    const address = `127.${64 + ((n >> 16) & 63)}.${(n >> 8) & 255}.${1 + ((n & 255) % 254)}`;
    const socket = createSocket("udp4");
    try {
      socket.bind({ address, port: CLAIM_PORT, exclusive: true });
      await once(socket, "listening");
    } catch (error) {
      socket.close();
      if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
      throw error;
    }
    socket.unref();
    scope.use({ close: () => socket.close() });
    return address;
  }
}
