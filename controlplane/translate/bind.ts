// The addresses and ports that listeners bind, where they bind any.
import { isIPv6 } from "node:net";
import type { Proxy } from "../proxy/proxy.js";

/**
 * Where outgoing traffic is accepted. Captured traffic keeps its destination, so the address stands for all. A listener
 * that binds its port is called on loopback; a proxy whose own address is a loopback one uses that, so that many can
 * share a machine.
 */
export function outboundBindAddress(proxy: Proxy, binds: boolean): string {
  if (!binds) return "0.0.0.0";
  const [own = ""] = proxy.addresses;
  return own.startsWith("127.") ? own : "127.0.0.1";
}

/** Whether captured connections can be IPv6 ones. */
export function capturesIpv6(proxy: Proxy): boolean {
  return proxy.interceptionMode === "REDIRECT" && proxy.addresses.some(isIPv6);
}

const FIRST_UNPRIVILEGED_PORT = 1024;
const UNPRIVILEGED_OFFSET = 10_000;

/** A port below 1024 becomes port + 10,000 for a proxy that cannot bind it: 443 is served on 10443. */
export function bindPort(port: number, proxy: Proxy): number {
  return proxy.unprivileged && port < FIRST_UNPRIVILEGED_PORT ? port + UNPRIVILEGED_OFFSET : port;
}
