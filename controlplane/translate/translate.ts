// (mesh, proxy) -> the Envoy resources that the proxy should have. Pure: equal arguments give equal bytes.
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import { runsModule } from "../mesh/extensions.js";
import type { Mesh } from "../mesh/mesh.js";
import type { MeshService } from "../mesh/service.js";
import type { Proxy } from "../proxy/proxy.js";
import { areSameForAll, serviceClusters, serviceCredentials, serviceTls, specialClusters } from "./clusters.js";
import { type Context, createContext, destinationPolicy } from "./context.js";
import { extensionConfig } from "./extension-config.js";
import { proxyExtensions } from "./extensions.js";
import { triedClusters } from "./fault-tries.js";
import { clientFiles, fileSecrets } from "./file-secrets.js";
import { gatewayCredentials, gatewayFiles, gatewayListeners, gatewayRouteServers } from "./gateway.js";
import { encodedGatewayHost, gatewayRoutes, planGatewayHosts } from "./gateway-routes.js";
import { inboundListeners } from "./inbound.js";
import { Memo } from "./memo.js";
import type { TranslateOptions } from "./options.js";
import { outboundListeners } from "./outbound.js";
import { encodedHosts, httpPorts, outboundHosts, outboundRoutes, outboundRules } from "./outbound-routes.js";
import { Pool } from "./pool.js";
import { reachableServices } from "./reachable-services.js";
import { type EnvoyResource, typeUrlOf } from "./resource.js";
import { secretResources, secretsOf } from "./secrets.js";
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
  readonly #views = new Map<string, View>();

  constructor(options: TranslateOptions) {
    this.#options = options;
  }

  translate(mesh: Mesh, proxy: Proxy): Translation {
    const context = createContext(mesh, proxy, this.#options, this.#view(mesh, proxy).memo);
    const shared = this.shared(mesh, proxy);
    return { shared, own: [...ownResources(context), this.#trafficFilter(proxy), ...this.#extensions(context)] };
  }

  /** That part of translate(). */
  shared(mesh: Mesh, proxy: Proxy): Translation["shared"] {
    const context = createContext(mesh, proxy, this.#options, this.#view(mesh, proxy).memo);
    return context.memo.of("shared", { cheap: [mesh] }, () => sharedResources(context));
  }

  /**
   * Does what translate() would have to do at length, in steps short enough that others get their turn between them;
   * translate() then finds it done.
   */
  *prepare(mesh: Mesh, proxy: Proxy): Generator<void> {
    const view = this.#view(mesh, proxy);
    if (view.prepared === mesh) return;
    const context = createContext(mesh, proxy, this.#options, view.memo);
    yield;
    yield* prepareShared(context);
    view.prepared = mesh;
  }

  /** Forgets what no translation has used since the last call. `mesh` is the newest one. */
  sweep(mesh: Mesh): void {
    for (const [key, view] of this.#views) {
      if (view.mesh === mesh) view.memo.sweep();
      else this.#views.delete(key);
    }
  }

  /** Beside the shared resources: proxies of one view may have several versions of it, and share all else. */
  #trafficFilter(proxy: Proxy): EnvoyResource {
    const { wasm, moduleFor } = this.#options.trafficFilter;
    return trafficFilterConfig(moduleFor?.(proxy) ?? wasm);
  }

  #extensions(context: Context): EnvoyResource[] {
    const { extension: load } = this.#options;
    return proxyExtensions(context).map((extension) =>
      extensionConfig(extension, runsModule(extension) ? load?.(extension, context.proxy) : undefined),
    );
  }

  #view(mesh: Mesh, proxy: Proxy): View {
    const key = viewOf(mesh, proxy);
    const view = this.#views.get(key) ?? { memo: new Memo(), mesh, prepared: undefined };
    this.#views.set(key, view);
    view.mesh = mesh;
    return view;
  }
}

/** What is kept for the proxies of one view. */
interface View {
  readonly memo: Memo;
  /** The last that was translated. */
  mesh: Mesh;
  prepared: Mesh | undefined;
}

function* prepareShared(context: Context): Generator<void> {
  for (const service of reachableServices(context)) {
    clustersOf(service, context);
    yield;
  }
  clusterResources(context);
  yield;
  yield* prepareHosts(context);
  routeResources(context);
  yield;
  otherResources(context);
}

function* prepareHosts(context: Context): Generator<void> {
  if (context.proxy.role === "router") {
    for (const [name, servers] of gatewayRouteServers(context)) {
      for (const plan of planGatewayHosts(servers, context)) {
        yield* encodedGatewayHost(name, plan, context);
        yield;
      }
    }
    return;
  }
  for (const entry of httpPorts(context)) {
    outboundRules(entry, context);
    yield;
    outboundHosts(entry, context);
    yield;
    yield* encodedHosts(entry, context);
    yield;
  }
}

/** What proxies of one view have in common: clusters, endpoints, routes and secrets. */
function sharedResources(context: Context): Translation["shared"] {
  return new Map([...clusterResources(context), ...routeResources(context), ...otherResources(context)]);
}

type ByType = Translation["shared"];

function clusterResources(context: Context): ByType {
  const { memo, mesh, proxy } = context;
  const services = reachableServices(context);
  const dependencies = { cheap: [services, mesh.destinationRules, mesh.secrets, triedClusters(context)] };
  return memo.of("clusters", dependencies, (before: ByType | undefined) => {
    const special = memo.of("special clusters", { cheap: [] }, () =>
      specialClusters(proxy.interceptionMode === "REDIRECT"),
    );
    return groupByType([...special, ...services.flatMap((service) => clustersOf(service, context))], before);
  });
}

/** The clusters of a service, as they were before where nothing that they depend on changed. */
function clustersOf(service: MeshService, context: Context): readonly EnvoyResource[] {
  const { memo, mesh } = context;
  const tried = triedClusters(context).get(service.hostname);
  const dependencies = {
    cheap: [service, mesh.destinationRules, mesh.secrets, tried],
    exact: () => [
      service,
      tried,
      destinationPolicy(context, service),
      ...serviceCredentials(service, context).flatMap((name) => secretsOf(name, context)),
    ],
  };
  return memo.of(`clusters of ${service.hostname}`, dependencies, () => {
    const policy = destinationPolicy(context, service);
    if (!areSameForAll(service, policy)) return serviceClusters(service, context);
    const on = [context.options, policy, tried];
    return clusterPool.find(service, on) ?? clusterPool.add(service, on, serviceClusters(service, context));
  });
}

const clusterPool = new Pool<readonly EnvoyResource[]>();

function routeResources(context: Context): ByType {
  const { memo, mesh, proxy } = context;
  return memo.of("routes", { cheap: [mesh] }, (before: ByType | undefined) =>
    groupByType(
      proxy.role === "router"
        ? [...gatewayRouteServers(context)].flatMap(([name, servers]) => gatewayRoutes(name, servers, context))
        : httpPorts(context).flatMap((entry) => outboundRoutes(entry, context)),
      before,
    ),
  );
}

function otherResources(context: Context): ByType {
  const { memo, mesh, proxy } = context;
  const services = reachableServices(context);
  const dependencies = { cheap: [services, mesh.destinationRules, mesh.secrets, mesh.gateways] };
  return memo.of("others", dependencies, (before: ByType | undefined) => {
    const credentials = services.flatMap((service) => serviceCredentials(service, context));
    if (proxy.role === "router") credentials.push(...gatewayCredentials(context));
    const files = services
      .flatMap((service) => serviceTls(service, context))
      .map((tls) => clientFiles(tls, proxy.clientCertificate));
    return groupByType([...secretResources(credentials, context), ...fileSecrets(files)], before);
  });
}

/** A proxy's own listeners, clusters and secrets; of the rules, only those for connections that are not read as HTTP count. */
function ownResources(context: Context): readonly EnvoyResource[] {
  const { memo, mesh, proxy, scope } = context;
  const l4 = memo.list("rules for connections", [mesh.virtualServices], () =>
    mesh.virtualServices.filter(({ spec }) => spec.tls.length + spec.tcp.length > 0),
  );
  const { services, destinationRules, secrets, gateways, workloads } = mesh;
  const extensions = proxyExtensions(context);
  const dependencies = {
    cheap: [proxy, services, destinationRules, secrets, gateways, workloads, scope.sidecar, l4, extensions],
  };
  return memo.of(`own of ${proxy.id}`, dependencies, () => {
    if (proxy.role === "router") return [...gatewayListeners(context), ...fileSecrets(gatewayFiles(context))];
    const inbound = inboundListeners(context);
    const names = inbound.filter(({ typeUrl }) => typeUrl === LISTENER_TYPE).map(({ name }) => name);
    return [...inbound, ...outboundListeners(context, new Set(names))];
  });
}

const LISTENER_TYPE = typeUrlOf(ListenerSchema);

/** The maps of `before` where they would come out the same, resource by resource. */
function groupByType(resources: readonly EnvoyResource[], before: ByType | undefined): ByType {
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
