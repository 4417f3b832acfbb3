// Sidecars that hide what rules of their namespace need.
import type { Sidecar } from "../../resources/sidecar.js";
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import { fullHostname, hostCovers } from "../hostname.js";
import type { Mesh } from "../mesh.js";
import { namespaceMatches, parseHostPattern } from "../visibility.js";

/** VirtualServices for sidecars whose hosts the namespace's own default Sidecar does not import: they do nothing there. */
export function hiddenRules(mesh: Mesh): Violation[] {
  return mesh.virtualServices.flatMap((virtualService) => {
    const { meta, spec } = virtualService;
    const sidecar = mesh.sidecars.get(meta.namespace)?.find((candidate) => !candidate.spec.workloadSelector);
    if (!sidecar || sidecar.spec.egress.length === 0 || !spec.gateways.includes("mesh")) return [];
    return spec.hosts.flatMap((host, index) => {
      const full = fullHostname(host, meta.namespace);
      if (imports(sidecar, meta.namespace, full)) return [];
      const message = `Sidecar ${sidecar.meta.name} does not import ${full}, so the rules for it have no effect in ${meta.namespace}: add it to the Sidecar's egress hosts.`;
      return [violationAt(virtualService, "hidden-by-sidecar", "warning", ["spec", "hosts", index], message)];
    });
  });
}

function imports(sidecar: Sidecar, namespace: string, host: string): boolean {
  const patterns = sidecar.spec.egress
    .flatMap((listener) => listener.hosts)
    .map((pattern) => parseHostPattern(pattern, namespace));
  return patterns.some(
    (pattern) =>
      namespaceMatches(pattern, namespace) && (hostCovers(pattern.host, host) || hostCovers(host, pattern.host)),
  );
}
