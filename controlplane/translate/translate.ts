// (mesh, proxy) -> the Envoy resources that the proxy should have. Pure: equal arguments give equal bytes.
import type { Mesh } from "../mesh/mesh.js";
import type { Proxy } from "../proxy/proxy.js";
import { serviceClusters, specialClusters } from "./clusters.js";
import { createContext, destinationPolicy } from "./context.js";
import { gatewayListeners } from "./gateway.js";
import { inboundListeners } from "./inbound.js";
import type { TranslateOptions } from "./options.js";
import { outboundListeners } from "./outbound.js";
import { reachableServices } from "./reachable-services.js";
import type { EnvoyResource } from "./resource.js";
import { trafficFilterConfig } from "./traffic-filter.js";

/** No name is there twice within a type. */
export function translate(mesh: Mesh, proxy: Proxy, options: TranslateOptions): EnvoyResource[] {
  const context = createContext(mesh, proxy, options);
  const clusters = [
    ...specialClusters(proxy.interceptionMode === "REDIRECT"),
    ...reachableServices(context).flatMap((service) => serviceClusters(service, destinationPolicy(context, service))),
  ];
  const listeners =
    proxy.role === "router" ? gatewayListeners(context) : [...inboundListeners(context), ...outboundListeners(context)];
  return [...clusters, ...listeners, trafficFilterConfig(options.trafficFilter.wasm)];
}
