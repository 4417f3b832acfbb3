// Which proxies see the mesh alike: those of one view share their clusters and routes, and what is kept of them.

import type { Mesh } from "../mesh/mesh.js";
import { findSidecar } from "../mesh/scope.js";
import type { Proxy } from "../proxy/proxy.js";
import type { DestinationRule } from "../resources/destination-rule.js";
import type { AnyResource } from "../resources/kinds.js";
import type { VirtualService } from "../resources/virtual-service.js";

/** Equal for proxies whose shared resources are equal, whatever the mesh holds apart from what is looked at here. */
export function viewOf(mesh: Mesh, proxy: Proxy): string {
  const { role, namespace, interceptionMode, separateHosts, locality, clientCertificate } = proxy;
  const sidecar = role === "sidecar" ? findSidecar(mesh, proxy) : undefined;
  const labels = role === "router" || readsClientLabels(mesh) ? Object.entries(proxy.labels).sort() : [];
  return JSON.stringify([
    role,
    namespace,
    sidecar ? `${sidecar.meta.namespace}/${sidecar.meta.name}` : "",
    labels,
    interceptionMode,
    separateHosts,
    locality,
    clientCertificate,
  ]);
}

/** Of lists and of single objects, which stay the same from mesh to mesh where they do not change. */
const answers = new WeakMap<object, boolean>();

/** Whether any policy treats clients differently by their labels. */
function readsClientLabels(mesh: Mesh): boolean {
  return reads(mesh.lists.get("VirtualService")) || reads(mesh.lists.get("DestinationRule"));
}

function reads(list: readonly AnyResource[] | undefined): boolean {
  return (
    list !== undefined && answer(list, () => list.some((resource) => answer(resource, () => readsLabels(resource))))
  );
}

function answer(about: object, find: () => boolean): boolean {
  const known = answers.get(about);
  if (known !== undefined) return known;
  const found = find();
  answers.set(about, found);
  return found;
}

function readsLabels(resource: AnyResource): boolean {
  if (resource.kind === "VirtualService") return hasSourceLabels(resource);
  return resource.kind === "DestinationRule" && selectsClients(resource);
}

function hasSourceLabels({ spec }: VirtualService): boolean {
  const matches = [...spec.http, ...spec.tls, ...spec.tcp].flatMap((rule) => [...rule.match]);
  return matches.some((match) => Object.keys(match.sourceLabels).length > 0);
}

function selectsClients({ spec }: DestinationRule): boolean {
  const policies = [spec.trafficPolicy, ...spec.subsets.map((subset) => subset.trafficPolicy)];
  const prefersByLabel = policies.some((policy) =>
    [policy, ...(policy?.portLevelSettings.values() ?? [])].some(
      (settings) => (settings?.loadBalancer?.localityLbSetting?.failoverPriority.length ?? 0) > 0,
    ),
  );
  return spec.workloadSelector !== undefined || prefersByLabel;
}
