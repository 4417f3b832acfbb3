// Which services a workload stands behind, and on which of its own ports: what its sidecar accepts.
import { podPort } from "./kubernetes-service.js";
import type { Mesh } from "./mesh.js";
import type { MeshService, ServicePort } from "./service.js";
import { selects } from "./workloads.js";

export interface Instance {
  readonly service: MeshService;
  readonly port: ServicePort;
  /** The port that the workload listens on. */
  readonly targetPort: number;
}

export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/**
 * By the services' selectors, and by the workload's addresses among their endpoints. Readiness does not count: a
 * workload that is not ready yet must still be reachable for its probes, and becomes ready through them.
 */
export function instancesOf(mesh: Mesh, workload: Workload): readonly Instance[] {
  const instances: Instance[] = [];
  const byAddress = workload.addresses.flatMap((address) => mesh.services.byEndpoint.get(address) ?? []);
  const candidates = new Set([...(mesh.services.selecting.get(workload.namespace) ?? []), ...byAddress]);
  for (const service of candidates) {
    for (const port of service.ports) {
      const targetPort = targetPortOf(mesh, service, port, workload);
      if (targetPort !== undefined) instances.push({ service, port, targetPort });
    }
  }
  return instances;
}

function targetPortOf(mesh: Mesh, service: MeshService, port: ServicePort, workload: Workload): number | undefined {
  const { source } = service;
  if (source.kind === "Service") {
    const declared = source.spec.ports.find((candidate) => candidate.port === port.number);
    const selected =
      Object.keys(source.spec.selector).length > 0 &&
      service.namespace === workload.namespace &&
      selects(source.spec.selector, workload.labels);
    if (declared && selected) {
      if (typeof declared.targetPort === "number") return declared.targetPort;
      for (const address of workload.addresses) {
        const pod = mesh.workloads.podsByAddress.get(address);
        const number = pod && podPort(pod, declared);
        if (number !== undefined) return number;
      }
    }
  }
  return service.endpoints.get(port.number)?.find((endpoint) => workload.addresses.includes(endpoint.address))?.port;
}
