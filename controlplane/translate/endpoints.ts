// A service's endpoints -> load assignments, by locality and priority.
import { create } from "@bufbuild/protobuf";
import type { LocalityLbEndpoints } from "../gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import { LocalityLbEndpointsSchema } from "../gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Endpoint, MeshService } from "../mesh/service.js";
import { selects } from "../mesh/workloads.js";
import type { LocalityGroup } from "./locality.js";
import { socketAddress } from "./values.js";

/** The endpoints of one port, narrowed to a subset's labels. */
export function endpointsOf(
  service: MeshService,
  port: number,
  labels: Readonly<Record<string, string>>,
): readonly Endpoint[] {
  return (service.endpoints.get(port) ?? []).filter((endpoint) => selects(labels, endpoint.labels));
}

export function loadAssignment(clusterName: string, groups: readonly LocalityGroup[]): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: groups.map(localityEndpoints) });
}

function localityEndpoints({ locality, priority, weight, endpoints }: LocalityGroup): LocalityLbEndpoints {
  const [region = "", zone = "", subZone = ""] = locality.split("/");
  return create(LocalityLbEndpointsSchema, {
    locality: { region, zone, subZone },
    priority,
    loadBalancingWeight: weight,
    lbEndpoints: endpoints.map((endpoint) => ({
      hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(endpoint.address, endpoint.port) } },
      loadBalancingWeight: Math.max(1, endpoint.weight),
    })),
  });
}
