// Addresses and ports that no other test, run or person on the machine is using.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Scope } from "./scope.js";

/** Below those from which the kernel chooses for whoever asks for any port, or connects. */
const PORTS = { first: 20_000, count: 12_000 };
let nextPort = process.pid * 37;

/**
 * A TCP port of the host that is free and stays so until this process ends or binds it: the kernel gives it to nobody, and
 * other tests see that it is claimed, because the UDP port of that number is bound.
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (;;) {
    const port = PORTS.first + (nextPort++ % PORTS.count);
    const claim = await claimed(host, port);
    if (claim === undefined) continue;
    claim.unref();
    if (await canListen(host, port)) return port;
    claim.close();
  }
}

async function canListen(host: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** Holding this UDP port on an address is what claims the address; tests use TCP. */
const CLAIM_PORT = 32_009;
let next = process.pid * 251;

/**
 * An address of 127.64.0.0/10 that is nobody else's while the scope is open, so that fixed ports can be bound on it.
 * The kernel keeps it so, across processes: the claim is a bound socket.
 */
export async function loopbackAddress(scope: Scope): Promise<string> {
  for (;;) {
    const n = next++;
    const address = `127.${64 + ((n >> 16) & 63)}.${(n >> 8) & 255}.${1 + ((n & 255) % 254)}`;
    const claim = await claimed(address, CLAIM_PORT);
    if (claim === undefined) continue;
    claim.unref();
    scope.use({ close: () => claim.close() });
    return address;
  }
}

/** Undefined where somebody has it. */
async function claimed(address: string, port: number): Promise<Socket | undefined> {
  const socket = createSocket("udp4");
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, "listening");
    return socket;
  } catch (error) {
    socket.close();
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
}
