// Cluster names, as Istio gives them.

export type Direction = "outbound" | "inbound";

/** outbound|80|v1|reviews.default.svc.cluster.local; without a subset the third part is empty. */
export function clusterName(direction: Direction, port: number, subset: string, hostname: string): string {
  return `${direction}|${port}|${subset}|${hostname}`;
}

/** Where traffic goes on to wherever the client was going. */
export const PASSTHROUGH_CLUSTER = "PassthroughCluster";
/** Where connections are closed. */
export const BLACK_HOLE_CLUSTER = "BlackHoleCluster";
/** Inbound traffic on ports that no service names goes on to the workload. */
export const INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster";
