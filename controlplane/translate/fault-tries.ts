// Which clusters have the try filter: those that rules send requests to whose faults are drawn for every try.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../gen/envoy/config/cluster/v3/cluster_pb.js";
import { UpstreamCodecSchema } from "../gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { MeshService, ServicePort } from "../mesh/service.js";
import { TRY_FILTER_NAME } from "../policy/compile.js";
import type { Destination, VirtualService } from "../resources/virtual-service.js";
import type { Context } from "./context.js";
import { drawsForTries } from "./fault.js";
import { pack } from "./resource.js";
import { ownModule } from "./traffic-filter.js";
import { setUpstreamFilters } from "./upstream-protocol.js";

/** By host name of a service: its clusters that have the filter, each as PORT:SUBSET; without a port, all ports'. */
export type TriedClusters = ReadonlyMap<string, string>;

const NONE: TriedClusters = new Map();

/** The same map while nothing in it can have changed, and one for all meshes without such faults. */
export function triedClusters(context: Context): TriedClusters {
  const { memo, mesh } = context;
  const rules = memo.list("rules with faults for every try", [mesh], () => faultyRules(context));
  if (rules.length === 0) return NONE;
  return memo.of("clusters with faults for every try", { cheap: [mesh.services, ...rules] }, () =>
    destinationsOf(rules, context),
  );
}

function faultyRules({ mesh, proxy, scope }: Context): readonly VirtualService[] {
  const faulty = virtualServicesWithTries(mesh.virtualServices);
  if (faulty.length === 0) return faulty;
  if (proxy.role === "router") return faulty.filter(({ spec }) => spec.gateways.some((name) => name !== "mesh"));
  const governing = new Set(scope.egress.flatMap(({ virtualServices }) => virtualServices));
  return faulty.filter((candidate) => candidate.spec.gateways.includes("mesh") && governing.has(candidate));
}

const found = new WeakMap<readonly VirtualService[], readonly VirtualService[]>();

/** Looked for once in a mesh, for all proxies. */
function virtualServicesWithTries(all: readonly VirtualService[]): readonly VirtualService[] {
  const known = found.get(all) ?? all.filter((one) => drawsForTries(one) && one.spec.http.some(({ fault }) => fault));
  found.set(all, known);
  return known;
}

function destinationsOf(rules: readonly VirtualService[], context: Context): TriedClusters {
  const clusters = new Map<string, Set<string>>();
  for (const { meta, spec } of rules) {
    for (const { destination } of spec.http.flatMap(({ fault, route }) => (fault ? route : []))) {
      const service = context.scope.resolve(destination.host, meta.namespace);
      if (!service) continue;
      const own = clusters.get(service.hostname) ?? new Set<string>();
      clusters.set(service.hostname, own.add(clusterText(destination)));
    }
  }
  return new Map([...clusters].map(([hostname, own]) => [hostname, [...own].sort().join(" ")]));
}

function clusterText({ port, subset }: Pick<Destination, "port" | "subset">): string {
  return `${port ?? ""}:${subset ?? ""}`;
}

/** Puts the filter before the codec of a cluster that is to have it. Of clusters that do not speak HTTP, nothing changes. */
export function applyTryFilter(
  cluster: Cluster,
  { hostname }: MeshService,
  port: ServicePort,
  subset: string | undefined,
  context: Context,
): void {
  const { tryFilter } = context.options;
  const tried = triedClusters(context).get(hostname)?.split(" ") ?? [];
  const named = subset === undefined ? {} : { subset };
  if (!tryFilter || ![{ port: port.number, ...named }, named].some((own) => tried.includes(clusterText(own)))) return;
  setUpstreamFilters(cluster, [filter(tryFilter), CODEC]);
}

const CODEC = create(HttpFilterSchema, {
  name: "envoy.filters.http.upstream_codec",
  configType: { case: "typedConfig", value: pack(UpstreamCodecSchema, create(UpstreamCodecSchema)) },
});

function filter(wasm: Uint8Array): HttpFilter {
  return create(HttpFilterSchema, {
    name: TRY_FILTER_NAME,
    configType: { case: "typedConfig", value: ownModule(TRY_FILTER_NAME, wasm) },
  });
}
