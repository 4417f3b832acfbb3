// Decodes the Kubernetes kinds Service, EndpointSlice, Pod and Node.
import { isIP } from "node:net";
import { labelsOf, listOf, maybe, nonEmpty, optional, present } from "./fields.js";
import type { EndpointSliceSpec, NodeSpec, PodSpec, ServiceSpec } from "./kubernetes.js";
import type { RawEndpointSlice, RawPod, RawService } from "./kubernetes.schema.js";
import { quote } from "./names.js";
import type { Report } from "./report.js";
import type { ObjectMeta } from "./resource.js";

/** How Kubernetes says which service an EndpointSlice belongs to. */
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

type RawServicePort = NonNullable<NonNullable<RawService["spec"]>["ports"]>[number];
type RawEndpoint = NonNullable<RawEndpointSlice["endpoints"]>[number];

export function decodeService(raw: RawService, report: Report): ServiceSpec {
  const spec = raw.spec ?? {};
  const type = spec.type ?? "ClusterIP";
  if (type === "ExternalName" && nonEmpty(spec.externalName) === undefined) {
    report.error("missing-field", ["spec", "externalName"], "A service of type ExternalName needs externalName.");
  }
  const addresses = spec.clusterIPs ?? (spec.clusterIP == null ? [] : [spec.clusterIP]);
  return present({
    type,
    externalName: nonEmpty(spec.externalName),
    clusterIPs: addresses.filter((address) => isIP(address) !== 0),
    headless: addresses.includes("None"),
    selector: labelsOf(spec.selector),
    ports: (spec.ports ?? []).map(decodeServicePort),
    publishNotReadyAddresses: spec.publishNotReadyAddresses ?? false,
  });
}

function decodeServicePort(raw: RawServicePort): ServiceSpec["ports"][number] {
  const port = raw.port ?? 0;
  return present({
    name: raw.name ?? "",
    port,
    protocol: raw.protocol ?? "TCP",
    appProtocol: nonEmpty(raw.appProtocol),
    targetPort: raw.targetPort || port,
  });
}

export function decodeEndpointSlice(raw: RawEndpointSlice, meta: ObjectMeta, report: Report): EndpointSliceSpec {
  const service = meta.labels[SERVICE_NAME_LABEL];
  if (service === undefined) {
    const message = `An EndpointSlice says by the label ${SERVICE_NAME_LABEL} which service it belongs to.`;
    report.error("missing-field", ["metadata", "labels", SERVICE_NAME_LABEL], message);
  }
  for (const [index, endpoint] of (raw.endpoints ?? []).entries()) {
    for (const [position, address] of (endpoint.addresses ?? []).entries()) {
      if (raw.addressType === "FQDN" || isIP(address) !== 0) continue;
      const path = ["endpoints", index, "addresses", position];
      report.error("invalid-host", path, `${quote(address)} is no IP address.`);
    }
  }
  return {
    service: service ?? "",
    addressType: raw.addressType ?? "IPv4",
    // A port without a number stands for all ports, which no cluster of Envoy's can express.
    ports: (raw.ports ?? [])
      .filter((port) => (port.protocol ?? "TCP") === "TCP" && port.port != null)
      .map((port) => ({ name: port.name ?? "", port: port.port ?? 0 })),
    endpoints: (raw.endpoints ?? []).map((endpoint) => decodeEndpoint(endpoint, meta.namespace)),
  };
}

function decodeEndpoint(raw: RawEndpoint, namespace: string): EndpointSliceSpec["endpoints"][number] {
  const target = raw.targetRef;
  return present({
    addresses: listOf(raw.addresses),
    // Kubernetes' documentation: an unknown condition is to be taken for ready.
    ready: raw.conditions?.ready ?? true,
    zone: nonEmpty(raw.zone),
    nodeName: nonEmpty(raw.nodeName),
    pod:
      target?.kind === "Pod" && target.name != null
        ? { namespace: nonEmpty(target.namespace) ?? namespace, name: target.name }
        : undefined,
  });
}

export function decodePod(raw: RawPod): PodSpec {
  const status = raw.status ?? {};
  const listed = (status.podIPs ?? []).map(({ ip }) => ip ?? "");
  const ips = listed.length > 0 ? listed : [status.podIP ?? ""];
  const ports = (raw.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return present({
    ips: ips.filter((address) => isIP(address) !== 0),
    ready: isReady(status),
    serviceAccount: nonEmpty(raw.spec?.serviceAccountName) ?? "default",
    nodeName: optional(maybe(raw.spec, (spec) => nonEmpty(spec.nodeName))),
    ports: new Map(ports.flatMap(({ name, containerPort }) => (name == null ? [] : [[name, containerPort ?? 0]]))),
  });
}

/** The labels that say where a node stands, the widest first; each with its former name. */
const LOCALITY_LABELS = [
  ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"],
  ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"],
  ["topology.istio.io/subzone"],
] as const;

export function decodeNode(meta: ObjectMeta): NodeSpec {
  const parts = LOCALITY_LABELS.map((names) => names.map((name) => meta.labels[name]).find(Boolean) ?? "");
  return { locality: parts.join("/").replace(/\/+$/, "") };
}

/** By the condition Ready. A pod that lists no conditions, as one written by hand, is ready unless its phase says no. */
function isReady(status: NonNullable<RawPod["status"]>): boolean {
  const conditions = status.conditions ?? [];
  if (conditions.length === 0) return (status.phase ?? "Running") === "Running";
  return conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
}
