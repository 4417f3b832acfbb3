// (mesh, proxy) -> the Envoy resources that the proxy should have. Pure: equal arguments give equal bytes.
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.js";
import type { Mesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { serviceClusters, serviceCredentials, specialClusters } from "./clusters.js";
import { type Context, createContext } from "./context.js";
import { gatewayCredentials, gatewayListeners } from "./gateway.js";
import { inboundListeners } from "./inbound.js";
import type { TranslateOptions } from "./options.js";
import { outboundListeners } from "./outbound.js";
import { reachableServices } from "./reachable-services.js";
import { type EnvoyResource, typeUrlOf } from "./resource.js";
import { secretResources } from "./secrets.js";
import { trafficFilterConfig } from "./traffic-filter.js";

const LISTENER_TYPE = typeUrlOf(ListenerSchema);

/** No name is there twice within a type. */
export function translate(mesh: Mesh, proxy: Proxy, options: TranslateOptions): EnvoyResource[] {
  const context = createContext(mesh, proxy, options);
  const services = reachableServices(context);
  const credentials = services.flatMap((service) => serviceCredentials(service, context));
  if (proxy.role === "router") credentials.push(...gatewayCredentials(context));
  return [
    ...specialClusters(proxy.interceptionMode === "REDIRECT"),
    ...services.flatMap((service) => serviceClusters(service, context)),
    ...(proxy.role === "router" ? gatewayListeners(context) : sidecarListeners(context)),
    ...secretResources(credentials, context),
    trafficFilterConfig(options.trafficFilter.wasm),
  ];
}

function sidecarListeners(context: Context): EnvoyResource[] {
  const inbound = inboundListeners(context);
  const names = inbound.filter(({ typeUrl }) => typeUrl === LISTENER_TYPE).map(({ name }) => name);
  return [...inbound, ...outboundListeners(context, new Set(names))];
}
