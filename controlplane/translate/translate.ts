// (mesh, proxy) -> the Envoy resources that the proxy should have. Pure: equal arguments give equal bytes.
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import type { Mesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { serviceClusters, serviceCredentials, specialClusters } from "./clusters.js";
import { type Context, createContext, destinationPolicy } from "./context.js";
import { gatewayCredentials, gatewayListeners, gatewayRouteServers } from "./gateway.js";
import { gatewayRoutes } from "./gateway-routes.js";
import { inboundListeners } from "./inbound.js";
import { Memo } from "./memo.js";
import type { TranslateOptions } from "./options.js";
import { outboundListeners } from "./outbound.js";
import { httpPorts, outboundRoutes } from "./outbound-routes.js";
import { reachableServices } from "./reachable-services.js";
import { type EnvoyResource, typeUrlOf } from "./resource.js";
import { secretResources } from "./secrets.js";
import { trafficFilterConfig } from "./traffic-filter.js";
import { viewOf } from "./view.js";

export type ResourceMap = ReadonlyMap<string, EnvoyResource>;

/** No name is there twice within a type, in both parts together. */
export interface Translation {
  /** By type URL. The same maps for all proxies of a view, and for later meshes while nothing in them changes. */
  readonly shared: ReadonlyMap<string, ResourceMap>;
  /** The proxy's own. */
  readonly own: readonly EnvoyResource[];
}

/** Translates for one proxy, once. */
export function translate(mesh: Mesh, proxy: Proxy, options: TranslateOptions): EnvoyResource[] {
  const { shared, own } = new Translator(options).translate(mesh, proxy);
  return [...[...shared.values()].flatMap((resources) => [...resources.values()]), ...own];
}

/** Translates mesh after mesh for many proxies, and does again only what changed. Gives what translate() would. */
export class Translator {
  readonly #options: TranslateOptions;
  readonly #views = new Map<string, { readonly memo: Memo; mesh: Mesh }>();

  constructor(options: TranslateOptions) {
    this.#options = options;
  }

  translate(mesh: Mesh, proxy: Proxy): Translation {
    const key = viewOf(mesh, proxy);
    const view = this.#views.get(key) ?? { memo: new Memo(), mesh };
    this.#views.set(key, view);
    view.mesh = mesh;
    const context = createContext(mesh, proxy, this.#options, view.memo);
    const shared = view.memo.of("shared", { cheap: [mesh] }, (before: Translation["shared"] | undefined) =>
      groupByType(sharedResources(context), before),
    );
    return { shared, own: ownResources(context) };
  }

  /** Forgets what no translation has used since the last call. `mesh` is the newest one. */
  sweep(mesh: Mesh): void {
    for (const [key, view] of this.#views) {
      if (view.mesh === mesh) view.memo.sweep();
      else this.#views.delete(key);
    }
  }
}

/** What proxies of one view have in common: clusters, endpoints, routes, secrets, and the filter. */
function sharedResources(context: Context): EnvoyResource[] {
  const { memo, mesh, options, proxy } = context;
  const services = reachableServices(context);
  const credentials = services.flatMap((service) => serviceCredentials(service, context));
  if (proxy.role === "router") credentials.push(...gatewayCredentials(context));
  const clusters = services.flatMap((service) =>
    memo.of(
      `clusters of ${service.hostname}`,
      {
        cheap: [service, mesh.destinationRules, mesh.secrets],
        exact: () => [
          service,
          destinationPolicy(context, service),
          ...serviceCredentials(service, context).map((name) => mesh.secrets.get(`${proxy.namespace}/${name}`)),
        ],
      },
      () => serviceClusters(service, context),
    ),
  );
  return [
    ...memo.of("special clusters", { cheap: [] }, () => specialClusters(proxy.interceptionMode === "REDIRECT")),
    ...clusters,
    ...(proxy.role === "router"
      ? [...gatewayRouteServers(context)].flatMap(([name, servers]) => gatewayRoutes(name, servers, context))
      : httpPorts(context).flatMap((entry) => outboundRoutes(entry, context))),
    ...secretResources(credentials, context),
    memo.of("filter", { cheap: [options.trafficFilter.wasm] }, () => trafficFilterConfig(options.trafficFilter.wasm)),
  ];
}

function ownResources(context: Context): EnvoyResource[] {
  if (context.proxy.role === "router") return gatewayListeners(context);
  const inbound = inboundListeners(context);
  const names = inbound.filter(({ typeUrl }) => typeUrl === LISTENER_TYPE).map(({ name }) => name);
  return [...inbound, ...outboundListeners(context, new Set(names))];
}

const LISTENER_TYPE = typeUrlOf(ListenerSchema);

/** The maps of `before` where they would come out the same, resource by resource. */
function groupByType(
  resources: readonly EnvoyResource[],
  before: Translation["shared"] | undefined,
): Translation["shared"] {
  const byType = new Map<string, Map<string, EnvoyResource>>();
  for (const resource of resources) {
    const map = byType.get(resource.typeUrl) ?? new Map<string, EnvoyResource>();
    byType.set(resource.typeUrl, map);
    if (map.has(resource.name)) throw new Error(`${resource.typeUrl}: "${resource.name}" was translated twice`);
    const known = before?.get(resource.typeUrl)?.get(resource.name);
    map.set(resource.name, known?.version === resource.version ? known : resource);
  }
  return new Map([...byType].map(([typeUrl, map]) => [typeUrl, unchanged(before?.get(typeUrl), map)]));
}

function unchanged(before: ResourceMap | undefined, now: ResourceMap): ResourceMap {
  if (!before || before.size !== now.size) return now;
  for (const [name, resource] of now) if (before.get(name) !== resource) return now;
  return before;
}
