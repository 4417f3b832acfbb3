// Addresses to listen on, as people write them.
import { isIP } from "node:net";

/** Takes "host:port" or "[v6]:port". Throws on anything else. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new Error(`${address} is no address of the form host:port`);
  return { host, port };
}

/** Whether only processes on this machine can reach it. A name other than localhost may resolve to anything. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** A peer's address without its port. */
export function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}
