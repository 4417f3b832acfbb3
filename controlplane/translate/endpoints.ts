// A service's endpoints -> load assignments, grouped by locality.
import { create } from "@bufbuild/protobuf";
import type { LocalityLbEndpoints } from "../gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import { LocalityLbEndpointsSchema } from "../gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Endpoint, MeshService } from "../mesh/service.js";
import { push, selects } from "../mesh/workloads.js";
import { socketAddress } from "./values.js";

/** The endpoints of one port, narrowed to a subset's labels. */
export function endpointsOf(
  service: MeshService,
  port: number,
  labels: Readonly<Record<string, string>>,
): readonly Endpoint[] {
  return (service.endpoints.get(port) ?? []).filter((endpoint) => selects(labels, endpoint.labels));
}

/** Localities in order of their names; a locality's weight is the sum of its endpoints'. */
export function loadAssignment(clusterName: string, endpoints: readonly Endpoint[]): ClusterLoadAssignment {
  const byLocality = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) push(byLocality, endpoint.locality, endpoint);
  const localities = [...byLocality].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: localities.map(([locality, members]) => localityEndpoints(locality, members)),
  });
}

function localityEndpoints(locality: string, members: readonly Endpoint[]): LocalityLbEndpoints {
  const [region = "", zone = "", subZone = ""] = locality.split("/");
  return create(LocalityLbEndpointsSchema, {
    locality: { region, zone, subZone },
    loadBalancingWeight: members.reduce((sum, endpoint) => sum + Math.max(1, endpoint.weight), 0),
    lbEndpoints: members.map((endpoint) => ({
      hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(endpoint.address, endpoint.port) } },
      loadBalancingWeight: Math.max(1, endpoint.weight),
    })),
  });
}
