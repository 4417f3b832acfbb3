// Gateways whose servers cannot work as they stand: ports that two servers want in different ways.
import type { Gateway, Server } from "../../resources/gateway.js";
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import { nameOfGateway } from "../gateway-name.js";
import { hostIntersection } from "../hostname.js";
import { parseHostPattern } from "../visibility.js";
import { selects } from "../workloads.js";

/** Takes the gateways oldest first: of two servers that exclude each other the older one's stays. */
export function portConflicts(gateways: readonly Gateway[]): Violation[] {
  const seen: { readonly gateway: Gateway; readonly server: Server }[] = [];
  return gateways.flatMap((gateway) =>
    gateway.spec.servers.flatMap((server, index) => {
      const other = seen.find(
        (candidate) => meet(candidate.gateway, gateway) && exclude(candidate, { gateway, server }),
      );
      seen.push({ gateway, server });
      if (!other) return [];
      const message = `Port ${server.port.number} for ${server.hosts.join(", ")} is already served by Gateway ${nameOfGateway(other.gateway)} as ${other.server.port.protocol}, which is older and wins: use another port or other hosts.`;
      return [violationAt(gateway, "conflicting-port", "warning", ["spec", "servers", index, "port"], message)];
    }),
  );
}

/** Whether some proxy may be selected by both: one selector's labels are among the other's. */
function meet(a: Gateway, b: Gateway): boolean {
  return selects(a.spec.selector, b.spec.selector) || selects(b.spec.selector, a.spec.selector);
}

interface Place {
  readonly gateway: Gateway;
  readonly server: Server;
}

/** Servers of one port share it by TLS server name, and HTTP ones by host; plain TCP shares it with nobody in the clear. */
function exclude(a: Place, b: Place): boolean {
  if (a.server.port.number !== b.server.port.number) return false;
  if ((a.server.bind ?? "") !== (b.server.bind ?? "")) return false;
  const [first, second] = [kindOf(a.server), kindOf(b.server)];
  if (first === "tls" && second === "tls") return sameHost(a, b);
  return first !== second ? first !== "tls" && second !== "tls" : first === "tcp";
}

function kindOf({ port, tls }: Server): "http" | "tls" | "tcp" {
  if (port.protocol === "TCP" || port.protocol === "MONGO") return "tcp";
  return tls?.mode === undefined || tls.httpsRedirect ? "http" : "tls";
}

function sameHost(a: Place, b: Place): boolean {
  const hosts = ({ gateway, server }: Place) =>
    server.hosts.map((host) => parseHostPattern(host, gateway.meta.namespace).host);
  return hosts(a).some((host) => hosts(b).some((other) => host === other && hostIntersection(host, other)));
}
