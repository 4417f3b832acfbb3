// Where rules are applied, and which of a rule's conditions are settled by that alone.
import { gatewayKey } from "../mesh/gateway-name.js";
import { selects } from "../mesh/workloads.js";
import type { Proxy } from "../proxy/proxy.js";
import type { HttpMatch, TcpMatch, TlsMatch, VirtualService } from "../resources/virtual-service.js";

export interface Site {
  /** "mesh" for sidecars, else namespace/name of the Gateway. */
  readonly gateway: string;
  /** The port that a match's port is compared with. */
  readonly port: number;
  /** Clients speak TLS, which ends here. */
  readonly secure?: boolean;
}

type Match = HttpMatch | TlsMatch | TcpMatch;

/**
 * The condition of a match that cannot hold at the site, in words, by what is known while translating: port, gateways,
 * and for sidecars the client, which is the proxy's own workload. Undefined when none stands in the way.
 */
export function siteObstacle(match: Match, owner: VirtualService, site: Site, proxy: Proxy): string | undefined {
  if (match.port !== undefined && match.port !== site.port) return `port is ${site.port}, not ${match.port}`;
  if (match.gateways.length > 0) {
    const named = match.gateways.map((name) => (name === "mesh" ? name : gatewayKey(name, owner.meta.namespace)));
    if (!named.includes(site.gateway)) return `gateway is ${site.gateway}, not ${named.join(" or ")}`;
  }
  if (site.gateway !== "mesh") return undefined;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== proxy.namespace) {
    return `the source's namespace is ${proxy.namespace}, not ${match.sourceNamespace}`;
  }
  if (selects(match.sourceLabels, proxy.labels)) return undefined;
  const labels = Object.entries(match.sourceLabels).map(([name, value]) => `${name}=${value}`);
  return `the source does not have the labels ${labels.join(", ")}`;
}

/** Whether a match can hold at the site. */
export function canHold(match: Match, owner: VirtualService, site: Site, proxy: Proxy): boolean {
  return siteObstacle(match, owner, site, proxy) === undefined;
}
