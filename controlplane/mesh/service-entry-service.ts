// ServiceEntries, with the workloads they select -> services of the mesh, one for each host.
import type { AnyResource } from "../resources/kinds.js";
import type { ServiceEntry, WorkloadEndpoint } from "../resources/service-entry.js";
import { isWildcard } from "./hostname.js";
import { type Endpoint, type MeshService, portProtocol, type ServiceResolution } from "./service.js";
import { selects, type Workloads } from "./workloads.js";

type Port = ServiceEntry["spec"]["ports"][number];

const RESOLUTION: Readonly<Record<ServiceEntry["spec"]["resolution"], ServiceResolution>> = {
  NONE: "none",
  STATIC: "static",
  DNS: "dns",
  DNS_ROUND_ROBIN: "dns-round-robin",
};

export function serviceEntryServices(resources: readonly AnyResource[], workloads: Workloads): MeshService[] {
  return resources
    .filter((resource) => resource.kind === "ServiceEntry")
    .flatMap((entry) => servicesOf(entry, workloads));
}

/** What an entry without a selector gives depends on nothing else, so it is made once. */
const made = new WeakMap<ServiceEntry, readonly MeshService[]>();

function servicesOf(entry: ServiceEntry, workloads: Workloads): readonly MeshService[] {
  const known = made.get(entry);
  if (known) return known;
  const services = entry.spec.hosts.map((host) => toMeshService(entry, host.toLowerCase(), workloads));
  if (!entry.spec.workloadSelector) made.set(entry, services);
  return services;
}

function toMeshService(entry: ServiceEntry, hostname: string, workloads: Workloads): MeshService {
  const endpoints = new Map<number, readonly Endpoint[]>();
  for (const port of entry.spec.ports) endpoints.set(port.number, portEndpoints(entry, hostname, port, workloads));
  return Object.freeze({
    hostname,
    namespace: entry.meta.namespace,
    ports: entry.spec.ports.map((port) => ({
      number: port.number,
      name: port.name,
      protocol: portProtocol(port.protocol, undefined, port.protocol === "UDP" ? "UDP" : "TCP"),
    })),
    addresses: entry.spec.addresses,
    resolution: RESOLUTION[entry.spec.resolution],
    external: entry.spec.location === "MESH_EXTERNAL",
    headless: false,
    exportTo: entry.spec.exportTo,
    endpoints,
    subjectAltNames: entry.spec.subjectAltNames,
    source: entry,
  } satisfies MeshService);
}

function portEndpoints(entry: ServiceEntry, hostname: string, port: Port, workloads: Workloads): readonly Endpoint[] {
  const own = entry.spec.workloadSelector
    ? selectedEndpoints(entry, entry.spec.workloadSelector, port, workloads)
    : entry.spec.endpoints.filter((endpoint) => endpoint.address !== undefined).map((e) => toEndpoint(e, port));
  if (own.length > 0) return own;
  const resolvable = entry.spec.resolution === "DNS" || entry.spec.resolution === "DNS_ROUND_ROBIN";
  if (!resolvable || entry.spec.workloadSelector || isWildcard(hostname)) return [];
  return [{ address: hostname, port: port.targetPort ?? port.number, labels: {}, locality: "", weight: 1 }];
}

function selectedEndpoints(
  entry: ServiceEntry,
  selector: Readonly<Record<string, string>>,
  port: Port,
  workloads: Workloads,
): Endpoint[] {
  const entries = workloads
    .entriesOf(entry.meta.namespace)
    .filter((workload) => workload.spec.address !== undefined && selects(selector, workload.spec.labels))
    .map((workload) => toEndpoint(workload.spec, port));
  const pods = workloads
    .podsOf(entry.meta.namespace)
    .filter((pod) => pod.spec.ready && selects(selector, pod.meta.labels))
    .flatMap((pod) =>
      pod.spec.ips.map((address) => {
        const locality = workloads.localityOf(pod.spec.nodeName);
        return toEndpoint({ address, ports: pod.spec.ports, labels: pod.meta.labels, locality }, port);
      }),
    );
  return [...entries, ...pods].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

function toEndpoint(endpoint: WorkloadEndpoint, port: Port): Endpoint {
  return {
    address: endpoint.address ?? "",
    port: endpoint.ports.get(port.name) ?? port.targetPort ?? port.number,
    labels: endpointLabels(endpoint),
    locality: endpoint.locality ?? "",
    weight: endpoint.weight ?? 1,
    ...(endpoint.serviceAccount ? { serviceAccount: endpoint.serviceAccount } : {}),
  };
}

/** By Istio's label, the network can be chosen by subsets and preferred by failoverPriority. */
const NETWORK_LABEL = "topology.istio.io/network";

/** The endpoint's labels, and its network's where it names one. */
export function endpointLabels({ labels, network }: WorkloadEndpoint): WorkloadEndpoint["labels"] {
  return network === undefined ? labels : { [NETWORK_LABEL]: network, ...labels };
}
