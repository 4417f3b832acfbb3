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

const answers = new WeakMap<readonly AnyResource[], boolean>();

/** Whether any policy treats clients differently by their labels. */
function readsClientLabels(mesh: Mesh): boolean {
  return reads(mesh.lists.get("VirtualService")) || reads(mesh.lists.get("DestinationRule"));
}

function reads(list: readonly AnyResource[] | undefined): boolean {
  if (!list) return false;
  let answer = answers.get(list);
  if (answer === undefined) {
    answer = list.some(
      (resource) =>
        (resource.kind === "VirtualService" && hasSourceLabels(resource)) ||
        (resource.kind === "DestinationRule" && selectsClients(resource)),
    );
    answers.set(list, answer);
  }
  return answer;
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
