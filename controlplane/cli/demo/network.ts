// The demo's addresses: one of the /24 networks in 127.0.0.0/16 that nothing else on the machine is using.
import { once } from "node:events";
import { createServer } from "node:net";

/** Whoever holds this port on a network's first address has the network. */
const CLAIM_PORT = 9080;
const FIRST = 16;
const LAST = 250;

export interface Network {
  /** 127.0.N.host */
  address(host: number): string;
  close(): void;
}

/** Claims a network until close; rejects with what to do where the system has no loopback network to claim from. */
export async function claimNetwork(): Promise<Network> {
  for (let octet = FIRST; octet <= LAST; octet += 1) {
    const claim = createServer((socket) => socket.destroy());
    try {
      claim.listen(CLAIM_PORT, `127.0.${octet}.1`);
      await once(claim, "listening");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EADDRINUSE") continue;
      if (code === "EADDRNOTAVAIL")
        throw new Error(
          "this system has only 127.0.0.1 for loopback, and the demo needs one address a service. Run it on Linux, or " +
            `give lo0 the addresses 127.0.${octet}.1 to 127.0.${octet}.99 first (macOS: sudo ifconfig lo0 alias ADDRESS).`,
        );
      throw error;
    }
    claim.unref();
    return { address: (host) => `127.0.${octet}.${host}`, close: () => claim.close() };
  }
  throw new Error(`every network from 127.0.${FIRST}.0 to 127.0.${LAST}.0 is in use: is the demo running many times?`);
}

/** Whether a TCP port can be bound right now. */
export async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
