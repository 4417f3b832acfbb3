// Decodes a VirtualService and checks its parts against one another.
import { decodeExportTo, listOf } from "./fields.js";
import { checkHostOrAddress, hostsOverlap } from "./hosts.js";
import { decodeHttpRoute } from "./http-route.decode.js";
import { decodeTcpRoute, decodeTlsRoute } from "./l4-route.decode.js";
import type { Report } from "./report.js";
import type { VirtualServiceSpec } from "./virtual-service.js";
import type { RawVirtualService } from "./virtual-service.schema.js";

const SPEC = ["spec"] as const;
/** Comparing all pairs of more hosts than this would take too long; longer lists are only searched for equal ones. */
const MOST_HOSTS_COMPARED = 500;

export function decodeVirtualService(raw: RawVirtualService, report: Report): VirtualServiceSpec {
  const hosts = listOf(raw.hosts);
  if (hosts.length === 0) reportDelegate(raw, report);
  else reportHosts(hosts, raw, report);
  reportMissingRules(raw, report);
  const gateways = listOf(raw.gateways);
  return {
    hosts,
    gateways: gateways.length === 0 ? ["mesh"] : gateways,
    http: (raw.http ?? []).map((route, index) => decodeHttpRoute(route, [...SPEC, "http", index], report)),
    tls: (raw.tls ?? []).map((route, index) => decodeTlsRoute(route, hosts, [...SPEC, "tls", index], report)),
    tcp: (raw.tcp ?? []).map((route, index) => decodeTcpRoute(route, [...SPEC, "tcp", index], report)),
    exportTo: decodeExportTo(raw.exportTo, [...SPEC, "exportTo"], report),
  };
}

/** Without hosts it is a delegate: HTTP rules that another VirtualService takes in. */
function reportDelegate(raw: RawVirtualService, report: Report): void {
  for (const name of ["gateways", "tls", "tcp"] as const) {
    if ((raw[name]?.length ?? 0) === 0) continue;
    const message = `A VirtualService without hosts is a delegate, which has no ${name}; add hosts or remove ${name}.`;
    report.error("conflicting-fields", [...SPEC, name], message);
  }
  for (const [index, route] of (raw.http ?? []).entries()) {
    if (route.delegate == null) continue;
    const message = "A delegate cannot delegate further; give the VirtualService hosts or remove this.";
    report.error("conflicting-fields", [...SPEC, "http", index, "delegate"], message);
  }
}

function reportHosts(hosts: readonly string[], raw: RawVirtualService, report: Report): void {
  const onMesh = (raw.gateways?.length ?? 0) === 0 || raw.gateways?.includes("mesh") === true;
  const earlier = new Map<string, number>();
  for (const [index, host] of hosts.entries()) {
    const at = [...SPEC, "hosts", index];
    if (checkHostOrAddress(host) !== undefined) continue;
    if (host === "*" && onMesh) {
      report.error(
        "invalid-host",
        at,
        '"*" is for gateways only; name the hosts, or bind to gateways other than "mesh".',
      );
      continue;
    }
    const first = findOverlap(earlier, host.toLowerCase());
    if (first === undefined) earlier.set(host.toLowerCase(), index);
    else report.error("invalid-host", at, `${host} and ${hosts[first]} overlap; keep one of them.`);
  }
}

function findOverlap(earlier: ReadonlyMap<string, number>, host: string): number | undefined {
  const equal = earlier.get(host);
  if (equal !== undefined || earlier.size > MOST_HOSTS_COMPARED) return equal;
  for (const [other, index] of earlier) if (hostsOverlap(other, host)) return index;
  return undefined;
}

function reportMissingRules(raw: RawVirtualService, report: Report): void {
  const rules = (raw.http?.length ?? 0) + (raw.tls?.length ?? 0) + (raw.tcp?.length ?? 0);
  if (rules === 0 && report.sound(SPEC)) {
    report.error("missing-field", SPEC, "A VirtualService needs at least one rule in http, tls or tcp.");
  }
}
