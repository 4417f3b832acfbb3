// Decodes destinations and weights, and the TLS and TCP rules of a VirtualService.
import { decodeGateways, labelsOf, listOf, nonEmpty, optional, present } from "./fields.js";
import type { HostList } from "./hosts.js";
import { quote } from "./names.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { Destination, L4Destination, TcpMatch, TcpRoute, TlsMatch, TlsRoute } from "./virtual-service.js";
import type { RawDestination, RawL4Routes, RawTcpMatch, RawTcpRoute, RawTlsRoute } from "./virtual-service.schema.js";

/** Envoy sums weights in 32 bits; Istio's are signed. */
const LARGEST_SUM = 4_294_967_295;
const LARGEST_WEIGHT = 2_147_483_647;

export function decodeDestination(raw: RawDestination): Destination {
  return present({ host: raw.host ?? "", subset: nonEmpty(raw.subset), port: optional(raw.port?.number) });
}

/** A destination's weight: one that stands alone gets everything, whatever its weight. */
export function weightOf(weight: number | null | undefined, destinations: number): number {
  return destinations === 1 ? weight || 100 : (weight ?? 0);
}

/** Several destinations need weights above 0 in sum; they need not sum up to 100. */
export function reportWeights(
  destinations: readonly { readonly weight?: number | null }[],
  path: FieldPath,
  report: Report,
): void {
  const sum = destinations.reduce((total, { weight }) => total + (weight ?? 0), 0);
  const sound = destinations.every((_, index) => report.sound([...path, index]));
  if (destinations.length > 1 && sum === 0 && sound) {
    report.error("invalid-weight", path, "All weights are 0; give at least one destination a weight.");
  }
  const eachFits = destinations.every(({ weight }) => (weight ?? 0) <= LARGEST_WEIGHT);
  if (sum > LARGEST_SUM && eachFits)
    report.error("invalid-weight", path, `The weights sum up to more than ${LARGEST_SUM}.`);
}

/** `hosts` are those of the VirtualService, which the names that clients ask for must be among. */
export function decodeTlsRoute(raw: RawTlsRoute, hosts: HostList, path: FieldPath, report: Report): TlsRoute {
  const match = (raw.match ?? []).map((entry, index): TlsMatch => {
    const at = [...path, "match", index];
    const sniHosts = listOf(entry.sniHosts);
    for (const [position, host] of sniHosts.entries()) {
      if (hosts.covering(host) !== undefined) continue;
      const message = `${quote(host)} is none of the VirtualService's hosts, nor within one.`;
      report.error("invalid-host", [...at, "sniHosts", position], message);
    }
    return { ...decodeTcpMatch(entry, at, report), sniHosts };
  });
  return { match, route: decodeL4Destinations(raw.route ?? [], [...path, "route"], report) };
}

export function decodeTcpRoute(raw: RawTcpRoute, path: FieldPath, report: Report): TcpRoute {
  return {
    match: (raw.match ?? []).map((entry, index) => decodeTcpMatch(entry, [...path, "match", index], report)),
    route: decodeL4Destinations(raw.route ?? [], [...path, "route"], report),
  };
}

function decodeTcpMatch(raw: RawTcpMatch, path: FieldPath, report: Report): TcpMatch {
  return present({
    destinationSubnets: listOf(raw.destinationSubnets),
    port: optional(raw.port),
    sourceLabels: labelsOf(raw.sourceLabels),
    sourceNamespace: nonEmpty(raw.sourceNamespace),
    gateways: decodeGateways(raw.gateways, [...path, "gateways"], report),
  });
}

function decodeL4Destinations(raw: RawL4Routes, path: FieldPath, report: Report): readonly L4Destination[] {
  reportWeights(raw, path, report);
  return raw.map((entry) => ({
    destination: decodeDestination(entry.destination ?? {}),
    weight: weightOf(entry.weight, raw.length),
  }));
}
