// Kubernetes Services, with their EndpointSlices, pods and workload entries -> services of the mesh.
import type { AnyResource } from "../resources/kinds.js";
import type { EndpointSlice, Pod, Service } from "../resources/kubernetes.js";
import type { WorkloadEntry } from "../resources/service-entry.js";
import { serviceHostname } from "./hostname.js";
import { type Endpoint, type MeshService, portProtocol } from "./service.js";
import { endpointLabels } from "./service-entry-service.js";
import { push, selects, type Workloads } from "./workloads.js";

type Port = Service["spec"]["ports"][number];

/** One mesh service for each Service, in the order given. */
export function kubernetesServices(resources: readonly AnyResource[], workloads: Workloads): MeshService[] {
  const slices = new Map<string, EndpointSlice[]>();
  for (const resource of resources) {
    if (resource.kind === "EndpointSlice")
      push(slices, `${resource.meta.namespace}/${resource.spec.service}`, resource);
  }
  const services: MeshService[] = [];
  for (const resource of resources) {
    if (resource.kind !== "Service") continue;
    const own = slices.get(`${resource.meta.namespace}/${resource.meta.name}`) ?? [];
    services.push(toMeshService(resource, own, workloads));
  }
  return services;
}

function toMeshService(service: Service, slices: readonly EndpointSlice[], workloads: Workloads): MeshService {
  const { name, namespace } = service.meta;
  const external = service.spec.type === "ExternalName" && service.spec.externalName !== undefined;
  const endpoints = new Map<number, readonly Endpoint[]>();
  for (const port of service.spec.ports) {
    endpoints.set(
      port.port,
      external
        ? [{ address: service.spec.externalName ?? "", port: port.port, labels: {}, locality: "", weight: 1 }]
        : portEndpoints(service, port, slices, workloads),
    );
  }
  return Object.freeze({
    hostname: serviceHostname(name, namespace),
    namespace,
    name,
    ports: service.spec.ports.map((port) => ({
      number: port.port,
      name: port.name,
      protocol: portProtocol(port.name, port.appProtocol, port.protocol),
    })),
    addresses: service.spec.clusterIPs,
    resolution: external ? "dns" : "static",
    external,
    headless: service.spec.headless,
    exportTo: exportToOf(service),
    endpoints,
    subjectAltNames: [],
    source: service,
  } satisfies MeshService);
}

/** Istio's annotation that limits who sees a Kubernetes service. */
function exportToOf(service: Service): readonly string[] {
  const annotation = service.meta.annotations["networking.istio.io/exportTo"];
  return annotation ? annotation.split(",").map((namespace) => namespace.trim()) : [];
}

function portEndpoints(
  service: Service,
  port: Port,
  slices: readonly EndpointSlice[],
  workloads: Workloads,
): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  const add = (endpoint: Endpoint) => found.set(`${endpoint.address} ${endpoint.port}`, endpoint);
  for (const slice of slices) for (const endpoint of sliceEndpoints(slice, service, port, workloads)) add(endpoint);
  if (Object.keys(service.spec.selector).length > 0) {
    if (slices.length === 0) for (const endpoint of podEndpoints(service, port, workloads)) add(endpoint);
    for (const endpoint of entryEndpoints(service, port, workloads)) add(endpoint);
  }
  return [...found.values()].sort(byAddress);
}

function byAddress(a: Endpoint, b: Endpoint): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port;
}

function sliceEndpoints(slice: EndpointSlice, service: Service, port: Port, workloads: Workloads): Endpoint[] {
  const slicePort = slice.spec.ports.find((candidate) => candidate.name === port.name);
  if (!slicePort) return [];
  return slice.spec.endpoints
    .filter((endpoint) => endpoint.ready || service.spec.publishNotReadyAddresses)
    .flatMap((endpoint) =>
      endpoint.addresses.map((address) => {
        const pod = endpoint.pod
          ? workloads.pods.get(`${endpoint.pod.namespace}/${endpoint.pod.name}`)
          : workloads.podsByAddress.get(address);
        const node = workloads.localityOf(endpoint.nodeName ?? pod?.spec.nodeName);
        const locality = node || (endpoint.zone ? `/${endpoint.zone}` : "");
        return { address, port: slicePort.port, labels: pod?.meta.labels ?? {}, locality, weight: 1 };
      }),
    );
}

/** For a Service that came without EndpointSlices: its ready pods, by its selector. */
function podEndpoints(service: Service, port: Port, workloads: Workloads): Endpoint[] {
  return workloads
    .podsOf(service.meta.namespace)
    .filter((pod) => selects(service.spec.selector, pod.meta.labels))
    .filter((pod) => pod.spec.ready || service.spec.publishNotReadyAddresses)
    .flatMap((pod) => {
      const number = podPort(pod, port);
      if (number === undefined) return [];
      return pod.spec.ips.map((address) => ({
        address,
        port: number,
        labels: pod.meta.labels,
        locality: workloads.localityOf(pod.spec.nodeName),
        weight: 1,
      }));
    });
}

/** The container port behind a service's target port; undefined when the pod has no port of that name. */
export function podPort(pod: Pod, port: Port): number | undefined {
  return typeof port.targetPort === "number" ? port.targetPort : pod.spec.ports.get(port.targetPort);
}

function entryEndpoints(service: Service, port: Port, workloads: Workloads): Endpoint[] {
  return workloads
    .entriesOf(service.meta.namespace)
    .filter((entry) => selects(service.spec.selector, entry.spec.labels) && entry.spec.address)
    .map((entry) => ({
      address: entry.spec.address ?? "",
      port: entryPort(entry, port),
      labels: endpointLabels(entry.spec),
      locality: entry.spec.locality ?? "",
      weight: entry.spec.weight ?? 1,
      ...(entry.spec.serviceAccount ? { serviceAccount: entry.spec.serviceAccount } : {}),
    }));
}

function entryPort(entry: WorkloadEntry, port: Port): number {
  const named = entry.spec.ports.get(port.name);
  if (named !== undefined) return named;
  return typeof port.targetPort === "number" ? port.targetPort : port.port;
}
