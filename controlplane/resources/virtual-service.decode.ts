// Decodes a VirtualService and checks its parts against one another.
import { decodeExportTo, decodeGateways, listOf } from "./fields.js";
import { checkHostOrAddress, HostList } from "./hosts.js";
import { decodeHttpRoute } from "./http-route.decode.js";
import { decodeTcpRoute, decodeTlsRoute } from "./l4-route.decode.js";
import type { Report } from "./report.js";
import type { VirtualServiceSpec } from "./virtual-service.js";
import type { RawVirtualService } from "./virtual-service.schema.js";

const SPEC = ["spec"] as const;
export function decodeVirtualService(raw: RawVirtualService, report: Report): VirtualServiceSpec {
  const hosts = listOf(raw.hosts);
  if (hosts.length === 0) reportDelegate(raw, report);
  else reportHosts(hosts, raw, report);
  reportMissingRules(raw, report);
  const gateways = decodeGateways(raw.gateways, [...SPEC, "gateways"], report);
  const names = new HostList(hosts);
  return {
    hosts,
    gateways: gateways.length === 0 ? ["mesh"] : gateways,
    http: (raw.http ?? []).map((route, index) => decodeHttpRoute(route, [...SPEC, "http", index], report)),
    tls: (raw.tls ?? []).map((route, index) => decodeTlsRoute(route, names, [...SPEC, "tls", index], report)),
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
  const earlier = new HostList();
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
    const first = earlier.overlapping(host);
    if (first === undefined) earlier.add(host, index);
    else report.error("invalid-host", at, `${host} and ${hosts[first]} overlap; keep one of them.`);
  }
}

function reportMissingRules(raw: RawVirtualService, report: Report): void {
  const rules = (raw.http?.length ?? 0) + (raw.tls?.length ?? 0) + (raw.tcp?.length ?? 0);
  if (rules === 0 && report.sound(SPEC)) {
    report.error("missing-field", SPEC, "A VirtualService needs at least one rule in http, tls or tcp.");
  }
}
