// Whether an Envoy resource came of a policy, as far as its name tells.
import { fullHostname } from "../mesh/hostname.js";
import type { AnyResource } from "../resources/kinds.js";
import { extensionName } from "../translate/extension-config.js";

/** Names of clusters, endpoints and virtual hosts have the host in them, those of listeners the port. */
export function mentions(name: string, resource: AnyResource): boolean {
  switch (resource.kind) {
    case "WasmPlugin":
    case "TrafficExtension":
      return name === extensionName(resource);
    case "Gateway":
      return resource.spec.servers.some(({ port }) => name.split(/[._]/).includes(String(port.number)));
    case "DestinationRule":
      return name.includes(hostIn(resource.spec.host, resource.meta.namespace));
    case "VirtualService":
    case "ServiceEntry":
      return resource.spec.hosts.some((host) => name.includes(hostIn(host, resource.meta.namespace)));
    default:
      return false;
  }
}

/** What stands in names for a host; all that a wildcard stands for ends so. */
function hostIn(host: string, namespace: string): string {
  return fullHostname(host, namespace).replace(/^\*/, "");
}
