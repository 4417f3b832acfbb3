// Rules of one VirtualService that cannot take effect as they stand.

import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { VirtualService } from "../../resources/virtual-service.js";
import { ruleOrigin } from "../delegates.js";
import { gatewayKey } from "../gateway-name.js";
import type { Mesh } from "../mesh.js";

/** Gateways that a VirtualService names and that do not exist. */
export function gatewayFaults(mesh: Mesh, virtualService: VirtualService): Violation[] {
  return virtualService.spec.gateways.flatMap((name, index) => {
    const full = gatewayKey(name, virtualService.meta.namespace);
    if (name === "mesh" || mesh.gateways.has(full)) return [];
    const message = `Gateway ${full} does not exist: create it, or correct the name; until then the rules do not apply there.`;
    return [violationAt(virtualService, "unknown-gateway", "warning", ["spec", "gateways", index], message)];
  });
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
