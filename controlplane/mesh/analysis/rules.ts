// Rules of one VirtualService that cannot take effect as they stand.

import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { VirtualService } from "../../resources/virtual-service.js";
import { ruleOrigin } from "../delegates.js";
import { gatewayKey } from "../gateway-name.js";
import { fullHostname, hostIntersection } from "../hostname.js";
import type { Mesh } from "../mesh.js";
import type { Scope } from "../scope.js";
import { isHttp, type MeshService } from "../service.js";
import { namespaceMatches, parseHostPattern } from "../visibility.js";

/** Gateways that a VirtualService names and that do not exist. */
export function gatewayFaults(mesh: Mesh, virtualService: VirtualService): Violation[] {
  return virtualService.spec.gateways.flatMap((name, index) => {
    const full = gatewayKey(name, virtualService.meta.namespace);
    if (name === "mesh" || mesh.gateways.has(full)) return [];
    const message = `Gateway ${full} does not exist: create it, or correct the name; until then the rules do not apply there.`;
    return [violationAt(virtualService, "unknown-gateway", "warning", ["spec", "gateways", index], message)];
  });
}

/** Hosts that no server of the Gateways takes, where the rules are for Gateways alone and all of those are there. */
export function hostsWithoutServer(mesh: Mesh, virtualService: VirtualService): Violation[] {
  const { meta, spec } = virtualService;
  const gateways = spec.gateways.map((name) => mesh.gateways.get(gatewayKey(name, meta.namespace)));
  if (spec.gateways.includes("mesh") || gateways.includes(undefined)) return [];
  const isTaken = (host: string) =>
    gateways.some((gateway) =>
      gateway?.spec.servers.some((server) =>
        server.hosts
          .map((written) => parseHostPattern(written, gateway.meta.namespace))
          .some((pattern) => namespaceMatches(pattern, meta.namespace) && hostIntersection(pattern.host, host)),
      ),
    );
  return spec.hosts.flatMap((written, index) => {
    const host = fullHostname(written, meta.namespace);
    if (isTaken(host)) return [];
    const message = `No server of ${spec.gateways.join(" or ")} takes ${host} from namespace ${meta.namespace}, so the rules for it have no effect: add it to a server's hosts, or correct it.`;
    return [violationAt(virtualService, "ignored-field", "warning", ["spec", "hosts", index], message)];
  });
}

/** Hosts whose services have no HTTP port: sidecars pass what is sent to them on as bytes, past the http rules. */
export function rulesWithoutHttp(virtualService: VirtualService, scope: Scope): Violation[] {
  const { meta, spec } = virtualService;
  const meant = (gateways: readonly string[]) => gateways.length === 0 || gateways.includes("mesh");
  const forSidecars = spec.http.some(
    ({ match }) => match.length === 0 || match.some(({ gateways }) => meant(gateways)),
  );
  if (!forSidecars || !spec.gateways.includes("mesh")) return [];
  return spec.hosts.flatMap((host, index) => {
    const service = scope.resolve(host, meta.namespace);
    if (!service || service.ports.length === 0 || service.ports.some((port) => isHttp(port.protocol))) return [];
    const remedy =
      service.source.kind === "Service"
        ? "name the Service's port http, or http-..., or give it appProtocol: http"
        : "give the port protocol: HTTP";
    const message = `${service.hostname} has no HTTP port (${readPorts(service)}), so the http rules have no effect on it in sidecars: ${remedy}.`;
    return [violationAt(virtualService, "ignored-field", "warning", ["spec", "hosts", index], message)];
  });
}

function readPorts(service: MeshService): string {
  return service.ports.map(({ number, protocol }) => `${number} is read as ${protocol}`).join(", ");
}

/** Weights count in proportion, whatever their sum; another sum than 100 is often a slip. */
export function oddWeights(virtualService: VirtualService): Violation[] {
  return virtualService.spec.http.flatMap((rule, at) => {
    const sum = rule.route.reduce((total, { weight }) => total + weight, 0);
    if (rule.route.length < 2 || sum === 100 || sum === 0) return [];
    const { owner, index } = ruleOrigin(virtualService, at);
    const message = `The weights sum to ${sum}, not 100: each destination gets its part of ${sum}. Correct them if that is not meant.`;
    return [violationAt(owner, "invalid-weight", "warning", ["spec", "http", index, "route"], message)];
  });
}
