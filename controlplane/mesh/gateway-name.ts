// The names of gateways, as resources refer to them.
import type { Gateway } from "../resources/gateway.js";

/** A gateway's name as a VirtualService writes it -> namespace/name. */
export function gatewayKey(name: string, namespace: string): string {
  return name.includes("/") ? name : `${namespace}/${name}`;
}

/** namespace/name */
export function nameOfGateway({ meta }: Gateway): string {
  return `${meta.namespace}/${meta.name}`;
}
