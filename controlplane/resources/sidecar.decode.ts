// Decodes a Sidecar and checks its listeners against one another.
import { decodeConnectionPool } from "./connection-pool.decode.js";
import { labelsOf, maybe, namesOfSet, nonEmpty, present, reportRepeats } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import { decodeServerTls } from "./server-tls.decode.js";
import type { PortProtocol } from "./service-entry.js";
import type { EgressListener, IngressListener, SidecarPort, SidecarSpec } from "./sidecar.js";
import type { RawEgressListener, RawIngressListener, RawSidecar, RawSidecarPort } from "./sidecar.schema.js";

export function decodeSidecar(raw: RawSidecar, report: Report): SidecarSpec {
  const parts = ["ingress", "egress", "inboundConnectionPool", "outboundTrafficPolicy"];
  if (report.sound(["spec"]) && namesOfSet(raw, parts).length === 0) {
    report.error("missing-field", ["spec"], `A Sidecar needs at least one of ${parts.join(", ")}.`);
  }
  reportRepeatedPorts(raw, report);
  reportCatchAll(raw.egress ?? [], report);
  return present({
    workloadSelector: decodeSelector(raw, report),
    ingress: (raw.ingress ?? []).map((entry, index) => decodeIngress(entry, ["spec", "ingress", index], report)),
    egress: (raw.egress ?? []).map((entry, index) => decodeEgress(entry, ["spec", "egress", index], report)),
    inboundConnectionPool: maybe(raw.inboundConnectionPool, (pool) =>
      decodeConnectionPool(pool, ["spec", "inboundConnectionPool"], report),
    ),
    outboundTrafficPolicy: maybe(raw.outboundTrafficPolicy, ({ mode }) => ({ mode: mode ?? "REGISTRY_ONLY" })),
  });
}

/** A selector without labels selects everything, like none. */
function decodeSelector(raw: RawSidecar, report: Report): SidecarSpec["workloadSelector"] {
  if (raw.workloadSelector == null) return undefined;
  const labels = labelsOf(raw.workloadSelector.labels);
  if (Object.keys(labels).length > 0) return labels;
  const message = "The selector has no labels, so the Sidecar holds for the whole namespace; add labels or remove it.";
  report.warning("ignored-field", ["spec", "workloadSelector"], message);
  return undefined;
}

function reportRepeatedPorts(raw: RawSidecar, report: Report): void {
  for (const direction of ["ingress", "egress"] as const) {
    const listeners: readonly { port?: RawSidecarPort | null }[] = raw[direction] ?? [];
    reportRepeats(
      listeners,
      (listener) => listener.port?.number || undefined,
      (index, first) => {
        const path = ["spec", direction, index, "port", "number"];
        report.error("invalid-port", path, `${direction}[${first}] has the same port.`);
      },
    );
  }
}

/** A listener without port takes what the others leave, so there is one, at the end. */
function reportCatchAll(egress: readonly RawEgressListener[], report: Report): void {
  for (const [index, listener] of egress.entries()) {
    if (listener.port != null || index === egress.length - 1 || !report.sound(["spec", "egress", index])) continue;
    const message = "Only the last egress listener can be without a port; give this one a port or move it down.";
    report.error("conflicting-fields", ["spec", "egress", index], message);
  }
}

function decodeIngress(raw: RawIngressListener, path: FieldPath, report: Report): IngressListener {
  if (raw.port != null && report.sound([...path, "port"]) && !raw.port.number) {
    report.error("invalid-port", [...path, "port", "number"], "An ingress listener needs a port from 1 to 65535.");
  }
  reportIngressTls(raw, path, report);
  return present({
    port: decodePort(raw.port ?? {}),
    bind: nonEmpty(raw.bind),
    captureMode: raw.captureMode ?? "DEFAULT",
    defaultEndpoint: nonEmpty(raw.defaultEndpoint),
    tls: maybe(raw.tls, (tls) => decodeServerTls(tls, [...path, "tls"], report)),
    connectionPool: maybe(raw.connectionPool, (pool) =>
      decodeConnectionPool(pool, [...path, "connectionPool"], report),
    ),
  });
}

/** Istio's documentation: a Sidecar's ingress ends TLS with files of its own, in the modes SIMPLE and MUTUAL. */
function reportIngressTls(raw: RawIngressListener, path: FieldPath, report: Report): void {
  const tls = raw.tls;
  if (tls == null) return;
  for (const name of namesOfSet(tls, ["credentialName", "subjectAltNames", "httpsRedirect"])) {
    report.error("conflicting-fields", [...path, "tls", name], `${name} is for gateways; a Sidecar cannot have it.`);
  }
  if (tls.mode === "ISTIO_MUTUAL" || tls.mode === "AUTO_PASSTHROUGH") {
    report.error("conflicting-fields", [...path, "tls", "mode"], `${tls.mode} is for gateways; use SIMPLE or MUTUAL.`);
  }
}

function decodeEgress(raw: RawEgressListener, path: FieldPath, report: Report): EgressListener {
  const socket = raw.bind?.startsWith("unix://") === true;
  if (raw.port != null && report.sound([...path, "port"]) && !raw.port.number && !socket) {
    const message = "The port 0 is for listeners on a socket; set bind: unix:///path or a port.";
    report.error("invalid-port", [...path, "port", "number"], message);
  }
  if (socket && raw.captureMode === "IPTABLES") {
    report.error("conflicting-fields", [...path, "captureMode"], "A socket cannot be captured; use DEFAULT or NONE.");
  }
  return present({
    port: maybe(raw.port, decodePort),
    bind: nonEmpty(raw.bind),
    captureMode: raw.captureMode ?? "DEFAULT",
    hosts: decodeEgressHosts(raw.hosts ?? [], [...path, "hosts"], report),
  });
}

/** Istio's newest form, ~NAMESPACE/HOST, excludes hosts; it does not pass the check of the namespace. */
function decodeEgressHosts(raw: readonly string[], path: FieldPath, report: Report): readonly string[] {
  reportRepeats(
    raw,
    (host) => host,
    (index) => report.warning("ignored-field", [...path, index], "The host stands in the list twice."),
  );
  return [...raw];
}

function decodePort(raw: RawSidecarPort): SidecarPort {
  return present({
    number: raw.number ?? 0,
    protocol: maybe(raw.protocol, (protocol) => protocol.toUpperCase() as PortProtocol),
    name: raw.name ?? "",
  });
}
