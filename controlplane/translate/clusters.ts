// Services and DestinationRules -> clusters, one for each port and subset, and the load assignments they ask for.
import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_EdsClusterConfigSchema,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../gen/envoy/config/cluster/v3/cluster_pb.js";
import { BindConfigSchema } from "../gen/envoy/config/core/v3/address_pb.js";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { DestinationPolicy } from "../mesh/destination-rules.js";
import { type Endpoint, isHttp, type MeshService, type Protocol, type ServicePort } from "../mesh/service.js";
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  PolicySettings,
  Subset,
} from "../resources/destination-rule.js";
import { BLACK_HOLE_CLUSTER, clusterName, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER } from "./cluster-name.js";
import { applySettings, effectiveSettings } from "./cluster-policy.js";
import { type Context, destinationPolicy } from "./context.js";
import { endpointsOf, loadAssignment } from "./endpoints.js";
import { applyTryFilter } from "./fault-tries.js";
import { groupByLocality } from "./locality.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { credentialIsComplete } from "./secrets.js";
import { applyProtocol, leaveOutDefaultProtocol, nameServerByHost } from "./upstream-protocol.js";
import { asksByHostHeader, upstreamTls } from "./upstream-tls.js";
import { adsSource, duration, socketAddress } from "./values.js";

/** Istio's default. */
const TRUST_DOMAIN = "cluster.local";

/** The source addresses of passed-through inbound connections; Istio's, so that its capture rules fit. */
const INBOUND_PASSTHROUGH_ADDRESS = "127.0.0.6";
const INBOUND_PASSTHROUGH_ADDRESS_V6 = "::6";

/**
 * The clusters of one service, and the endpoints of those that get theirs by EDS. A cluster whose credential is missing
 * is left out: it could not connect, and would hold back the others.
 */
export function serviceClusters(service: MeshService, context: Context): EnvoyResource[] {
  const policy = destinationPolicy(context, service);
  return service.ports
    .filter((port) => port.protocol !== "udp")
    .flatMap((port) =>
      [undefined, ...(policy?.subsets.values() ?? [])].flatMap((subset) => {
        const settings = effectiveSettings(port.number, policy?.trafficPolicy, subset?.trafficPolicy);
        return credentialIsComplete(settings.tls, "client", context)
          ? outboundCluster(service, port, subset, settings, context)
          : [];
      }),
    );
}

/** All TLS settings that the clusters of a service may have. */
export function serviceTls(service: MeshService, context: Context): ClientTlsSettings[] {
  const policy = destinationPolicy(context, service);
  const policies = [
    policy?.trafficPolicy,
    ...[...(policy?.subsets.values() ?? [])].map((subset) => subset.trafficPolicy),
  ];
  return policies.flatMap((own) =>
    own ? [own, ...own.portLevelSettings.values()].flatMap(({ tls }) => tls ?? []) : [],
  );
}

/** The credentials that the clusters of a service name. */
export function serviceCredentials(service: MeshService, context: Context): string[] {
  return serviceTls(service, context).flatMap(({ credentialName }) => credentialName ?? []);
}

/** Whether a service's clusters are the same for all proxies that have this policy for it. */
export function areSameForAll({ headless }: MeshService, policy: DestinationPolicy | undefined): boolean {
  const policies = [policy?.trafficPolicy, ...[...(policy?.subsets.values() ?? [])].map((own) => own.trafficPolicy)];
  const settings = policies.flatMap((own) => (own ? [own, ...own.portLevelSettings.values()] : []));
  return (
    !headless && settings.every((own) => !own.tls && !own.outlierDetection && !own.loadBalancer?.localityLbSetting)
  );
}

function outboundCluster(
  service: MeshService,
  port: ServicePort,
  subset: Subset | undefined,
  settings: PolicySettings,
  context: Context,
): EnvoyResource[] {
  const name = clusterName("outbound", port.number, subset?.name ?? "", service.hostname);
  const cluster = create(ClusterSchema, { name });
  applySettings(cluster, settings);
  const alpn = applyProtocol(cluster, port.protocol, settings.connectionPool);
  const own = context.proxy.clientCertificate;
  const endpoints = endpointsOf(service, port.number, subset?.labels ?? {});
  const names = settings.tls?.mode === "ISTIO_MUTUAL" ? serverNames(service, endpoints) : service.subjectAltNames;
  const socket = upstreamTls(settings.tls, service.hostname, names, alpn, own);
  if (socket) cluster.transportSocket = socket;
  if (asksByHostHeader(settings.tls, service.hostname)) nameServerByHost(cluster, settings.tls);
  applyTryFilter(cluster, service, port, subset?.name, context);
  leaveOutDefaultProtocol(cluster);
  const assignment = loadAssignment(name, groupByLocality(endpoints, settings, context.proxy));
  const original = goesToOriginalDestination(service, port, settings, context);
  if (original) {
    setOriginalDestination(cluster);
  } else if (service.resolution === "static") {
    cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.EDS };
    // Endpoints are asked for by the cluster's own name.
    cluster.edsClusterConfig = create(Cluster_EdsClusterConfigSchema, { edsConfig: adsSource() });
  } else {
    const type = service.resolution === "dns" ? Cluster_DiscoveryType.STRICT_DNS : Cluster_DiscoveryType.LOGICAL_DNS;
    cluster.clusterDiscoveryType = { case: "type", value: type };
    cluster.dnsLookupFamily = Cluster_DnsLookupFamily.V4_PREFERRED;
    cluster.respectDnsTtl = true;
    cluster.loadAssignment = assignment;
  }
  const byEds = !original && service.resolution === "static";
  return [
    encodeResource(ClusterSchema, name, cluster),
    ...(byEds ? [encodeResource(ClusterLoadAssignmentSchema, name, assignment)] : []),
  ];
}

/** The names that servers in the mesh may have: those of the service, else its endpoints' accounts where all have one. */
function serverNames(service: MeshService, endpoints: readonly Endpoint[]): readonly string[] {
  if (service.subjectAltNames.length > 0) return service.subjectAltNames;
  const accounts = endpoints.map(({ serviceAccount }) => serviceAccount);
  if (accounts.includes(undefined)) return [];
  return [...new Set(accounts)]
    .sort()
    .map((account) => `spiffe://${TRUST_DOMAIN}/ns/${service.namespace}/sa/${account}`);
}

/**
 * Connections whose destination the client chose: where the policy says so, and to a headless service's pods, which a
 * client of TCP calls by their own addresses. Only captured connections still know their destination.
 */
function goesToOriginalDestination(
  service: MeshService,
  port: ServicePort,
  settings: PolicySettings,
  { proxy }: Context,
): boolean {
  if (service.resolution === "none" || settings.loadBalancer?.simple === "PASSTHROUGH") return true;
  return service.headless && !isHttp(port.protocol) && proxy.interceptionMode === "REDIRECT";
}

function setOriginalDestination(cluster: Cluster): void {
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST };
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = { case: undefined };
}

/** The cluster that hands inbound traffic of one port to the workload. */
export function inboundCluster(
  port: number,
  protocol: Protocol,
  target: { readonly address: string; readonly port: number },
  connectionPool: ConnectionPoolSettings | undefined,
): EnvoyResource {
  const name = clusterName("inbound", port, "", "");
  const endpoint = { address: socketAddress(target.address, target.port) };
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: endpoint } }] }],
    },
  });
  applySettings(cluster, connectionPool ? { connectionPool } : {});
  applyProtocol(cluster, protocol, connectionPool);
  leaveOutDefaultProtocol(cluster);
  return encodeResource(ClusterSchema, name, cluster);
}

/** The clusters that every sidecar has, whatever its services. */
export function specialClusters(captured: boolean): EnvoyResource[] {
  const blackHole = create(ClusterSchema, {
    name: BLACK_HOLE_CLUSTER,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: duration(10_000),
  });
  const passthroughs = captured ? [passthroughCluster(PASSTHROUGH_CLUSTER), inboundPassthroughCluster()] : [];
  return [blackHole, ...passthroughs].map((cluster) => encodeResource(ClusterSchema, cluster.name, cluster));
}

function passthroughCluster(name: string): Cluster {
  const cluster = create(ClusterSchema, { name });
  applySettings(cluster, {});
  applyProtocol(cluster, "http", { http: { useClientProtocol: true } });
  setOriginalDestination(cluster);
  return cluster;
}

/** Binds outgoing connections to an address of its own, which the capture rules let through to the workload. */
function inboundPassthroughCluster(): Cluster {
  const cluster = passthroughCluster(INBOUND_PASSTHROUGH_CLUSTER);
  cluster.upstreamBindConfig = create(BindConfigSchema, {
    sourceAddress: anyPortOf(INBOUND_PASSTHROUGH_ADDRESS),
    extraSourceAddresses: [{ address: anyPortOf(INBOUND_PASSTHROUGH_ADDRESS_V6) }],
  });
  return cluster;
}

function anyPortOf(address: string) {
  return { address, portSpecifier: { case: "portValue" as const, value: 0 } };
}
