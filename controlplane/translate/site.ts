// Where rules are applied, and which of a rule's conditions are settled by that alone.
import { gatewayKey } from "../mesh/analysis.js";
import { selects } from "../mesh/workloads.js";
import type { Proxy } from "../proxy/proxy.js";
import type { HttpMatch, TcpMatch, TlsMatch, VirtualService } from "../resources/virtual-service.js";

export interface Site {
  /** "mesh" for sidecars, else namespace/name of the Gateway. */
  readonly gateway: string;
  /** The port that a match's port is compared with. */
  readonly port: number;
}

/**
 * Whether a match can hold at the site, by what is known while translating: port, gateways, and for sidecars the client,
 * which is the proxy's own workload.
 */
export function canHold(
  match: HttpMatch | TlsMatch | TcpMatch,
  owner: VirtualService,
  site: Site,
  proxy: Proxy,
): boolean {
  if (match.port !== undefined && match.port !== site.port) return false;
  if (match.gateways.length > 0) {
    const named = match.gateways.map((name) => (name === "mesh" ? name : gatewayKey(name, owner.meta.namespace)));
    if (!named.includes(site.gateway)) return false;
  }
  if (site.gateway !== "mesh") return true;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== proxy.namespace) return false;
  return selects(match.sourceLabels, proxy.labels);
}
