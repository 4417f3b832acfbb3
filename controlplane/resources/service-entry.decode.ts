// Decodes ServiceEntry and WorkloadEntry, and checks that hosts, ports, endpoints and resolution fit together.
import { isIP } from "node:net";
import {
  decodeExportTo,
  labelsOf,
  listOf,
  mapOf,
  maybe,
  nonEmpty,
  optional,
  present,
  reportRepeats,
} from "./fields.js";
import { isFqdn, isUnixAddress } from "./hosts.js";
import { quote } from "./names.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { PortProtocol, Resolution, ServiceEntrySpec, WorkloadEndpoint } from "./service-entry.js";
import type { RawServiceEntry, RawWorkload } from "./service-entry.schema.js";

/** Protocols whose requests name their host, so that several hosts can share a port and no address. */
const NAMING_PROTOCOLS = new Set(["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TLS"]);

export function decodeServiceEntry(raw: RawServiceEntry, report: Report): ServiceEntrySpec {
  const spec = read(raw, report);
  reportHosts(spec, report);
  reportPorts(spec, report);
  reportEndpoints(spec, raw, report);
  return spec;
}

export function decodeWorkloadEntry(raw: RawWorkload, report: Report): WorkloadEndpoint {
  reportAddress(raw, ["spec"], report);
  return decodeWorkload(raw);
}

function read(raw: RawServiceEntry, report: Report): ServiceEntrySpec {
  return present({
    hosts: listOf(raw.hosts),
    addresses: listOf(raw.addresses),
    ports: (raw.ports ?? []).map((port) =>
      present({
        number: port.number ?? 0,
        protocol: (port.protocol ?? "TCP").toUpperCase() as PortProtocol,
        name: port.name ?? "",
        targetPort: optional(port.targetPort),
      }),
    ),
    location: raw.location ?? "MESH_EXTERNAL",
    resolution: decodeResolution(raw.resolution, report),
    endpoints: (raw.endpoints ?? []).map(decodeWorkload),
    workloadSelector: maybe(raw.workloadSelector, (selector) => labelsOf(selector.labels)),
    subjectAltNames: listOf(raw.subjectAltNames),
    exportTo: decodeExportTo(raw.exportTo, ["spec", "exportTo"], report),
  });
}

function decodeResolution(raw: RawServiceEntry["resolution"], report: Report): Resolution {
  if (raw !== "DYNAMIC_DNS") return raw ?? "NONE";
  const message = "Headgate does not support DYNAMIC_DNS; use DNS, or NONE with a wildcard.";
  report.error("unsupported-field", ["spec", "resolution"], message);
  return "STATIC";
}

/** The fields alone, without the checks of what they refer to. */
export function decodeWorkload(raw: RawWorkload): WorkloadEndpoint {
  return present({
    address: nonEmpty(raw.address),
    ports: mapOf(raw.ports, (port) => port),
    labels: labelsOf(raw.labels),
    network: nonEmpty(raw.network),
    locality: nonEmpty(raw.locality),
    weight: optional(raw.weight),
    serviceAccount: nonEmpty(raw.serviceAccount),
  });
}

function reportHosts({ hosts, resolution, endpoints, ports }: ServiceEntrySpec, report: Report): void {
  reportRepeats(
    hosts,
    (host) => host.toLowerCase(),
    (index) => report.error("invalid-host", ["spec", "hosts", index], "The host stands in the list twice."),
  );
  for (const [index, host] of hosts.entries()) {
    const path = ["spec", "hosts", index];
    if (host === "*")
      report.error("invalid-host", path, '"*" is no service; name the host or its domain, as in "*.example.com".');
    else if (resolvesNames(resolution) && endpoints.length === 0 && host.startsWith("*")) {
      const message = `${host} cannot be looked up in DNS; give endpoints, or set resolution: NONE.`;
      report.error("invalid-host", path, message);
    }
  }
  const plain = ports.findIndex((port) => !NAMING_PROTOCOLS.has(port.protocol));
  if (resolution !== "NONE" && hosts.length > 1 && plain !== -1) {
    const message = `Connections of protocol ${ports[plain]?.protocol} do not say which of the hosts they are for; make one ServiceEntry a host.`;
    report.error("conflicting-fields", ["spec", "ports", plain], message);
  }
}

function reportPorts({ ports, resolution }: ServiceEntrySpec, report: Report): void {
  reportRepeats(
    ports,
    (port) => port.number || undefined,
    (index, first) =>
      report.error("invalid-port", ["spec", "ports", index, "number"], `ports[${first}] has the same number.`),
  );
  reportRepeats(
    ports,
    (port) => port.name || undefined,
    (index, first) =>
      report.error("invalid-name", ["spec", "ports", index, "name"], `ports[${first}] has the same name.`),
  );
  for (const [index, port] of ports.entries()) {
    if (resolution !== "NONE" || port.targetPort === undefined) continue;
    const message = "With resolution NONE traffic goes on to the port it came for, so targetPort has no effect.";
    report.warning("ignored-field", ["spec", "ports", index, "targetPort"], message);
  }
}

function reportEndpoints(spec: ServiceEntrySpec, raw: RawServiceEntry, report: Report): void {
  const { resolution, endpoints } = spec;
  if (raw.workloadSelector != null && endpoints.length > 0) {
    const message = "endpoints and workloadSelector exclude each other; keep one.";
    report.error("conflicting-fields", ["spec", "workloadSelector"], message);
  }
  if (resolution === "NONE" && endpoints.length > 0) {
    const message = "With resolution NONE there are no endpoints; set STATIC or DNS, or remove them.";
    report.error("conflicting-fields", ["spec", "endpoints"], message);
  }
  if (resolution === "DNS_ROUND_ROBIN" && endpoints.length > 1) {
    const message = "With resolution DNS_ROUND_ROBIN there is one endpoint at most.";
    report.error("conflicting-fields", ["spec", "endpoints", 1], message);
  }
  if (resolvesNames(resolution)) reportBlocks(spec, report);
  const portNames = new Set(spec.ports.map((port) => port.name));
  for (const [index, endpoint] of (raw.endpoints ?? []).entries()) {
    reportEndpoint(endpoint, spec, portNames, ["spec", "endpoints", index], report);
  }
}

function reportBlocks({ addresses, resolution }: ServiceEntrySpec, report: Report): void {
  for (const [index, address] of addresses.entries()) {
    if (!address.includes("/")) continue;
    const message = `A block of addresses is for resolution NONE and STATIC, not ${resolution}.`;
    report.error("conflicting-fields", ["spec", "addresses", index], message);
  }
}

function reportEndpoint(
  endpoint: RawWorkload,
  { resolution, ports }: ServiceEntrySpec,
  portNames: ReadonlySet<string>,
  path: FieldPath,
  report: Report,
): void {
  reportAddress(endpoint, path, report);
  const address = endpoint.address ?? "";
  if (resolution === "STATIC" && address !== "" && isIP(address) === 0 && !address.startsWith("unix://")) {
    const message = `${quote(address)} is no IP address, which resolution STATIC needs; use DNS to look names up.`;
    report.error("invalid-host", [...path, "address"], message);
  }
  if (address.startsWith("unix://") && (resolvesNames(resolution) || ports.length !== 1)) {
    const message = "A socket's path is for resolution STATIC and a ServiceEntry of exactly one port.";
    report.error("conflicting-fields", [...path, "address"], message);
  }
  for (const name of Object.keys(endpoint.ports ?? {})) {
    if (portNames.has(name)) continue;
    report.error("invalid-port", [...path, "ports", name], `The ServiceEntry has no port named ${quote(name)}.`);
  }
}

/** An address is an IP address, a name or a socket's path; only a workload of another network can lack one. */
function reportAddress(raw: RawWorkload, path: FieldPath, report: Report): void {
  const address = nonEmpty(raw.address);
  if (address === undefined) {
    if (nonEmpty(raw.network) === undefined && report.sound(path)) {
      report.error("missing-field", [...path, "address"], "The field address is required.");
    }
    return;
  }
  if (address.startsWith("unix://")) {
    if (!isUnixAddress(address))
      report.error("invalid-host", [...path, "address"], "The socket's path must be absolute.");
    if (Object.keys(raw.ports ?? {}).length > 0) {
      report.error("conflicting-fields", [...path, "ports"], "A socket has no ports; remove them.");
    }
  } else if (isIP(address) === 0 && !isFqdn(address)) {
    report.error("invalid-host", [...path, "address"], `${quote(address)} is neither an IP address nor a host name.`);
  }
}

function resolvesNames(resolution: Resolution): boolean {
  return resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
}
