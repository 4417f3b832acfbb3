// Extensions that do nothing, or that stand in an order which nobody chose.
import type { Violation } from "../../resources/violation.js";
import { violationAt } from "../../resources/violation-at.js";
import type { Extension } from "../extensions.js";
import type { Mesh } from "../mesh.js";
import { selects } from "../workloads.js";

export function extensionFaults(mesh: Mesh): Violation[] {
  return mesh.extensions.flatMap((extension, index) => [
    ...unselecting(mesh, extension),
    ...onlyServing(mesh, extension),
    ...undecidedOrder(mesh, extension, mesh.extensions.slice(0, index)),
  ]);
}

/** Where pods tell what workloads there are, a selector that none of them and no gateway answers to is a mistake. */
function unselecting(mesh: Mesh, extension: Extension): Violation[] {
  const { selector } = extension.spec;
  const pods = podsWithin(mesh, extension.meta.namespace);
  const chosen = pods.some((pod) => selects(selector, pod.meta.labels));
  if (pods.length === 0 || chosen || gatewayOf(mesh, extension) !== undefined) return [];
  const message = "No workload has these labels, so the extension has no effect: correct them.";
  return [violationAt(extension, "unknown-workload", "warning", ["spec", "selector"], message)];
}

/** Istio: what passes a gateway is what clients ask for. */
function onlyServing(mesh: Mesh, extension: Extension): Violation[] {
  const { match, selector } = extension.spec;
  if (match.length === 0 || match.some(({ mode }) => mode !== "SERVER")) return [];
  const gateway = Object.keys(selector).length > 0 ? gatewayOf(mesh, extension) : undefined;
  if (!gateway) return [];
  const message = `The labels are those of Gateway ${gateway}, whose traffic is all of the mode CLIENT: no request would come here.`;
  return [violationAt(extension, "ignored-field", "warning", ["spec", "match"], message)];
}

/** Only where a phase is given: who leaves the place to Headgate leaves the order to it, too. */
function undecidedOrder(mesh: Mesh, extension: Extension, earlier: readonly Extension[]): Violation[] {
  const { phase, priority } = extension.spec;
  const rival = earlier.find(
    (other) =>
      other.spec.phase === phase &&
      other.spec.priority === priority &&
      meet(mesh, other, extension) &&
      overlap(other.spec.match, extension.spec.match),
  );
  if (phase === "UNSPECIFIED" || !rival) return [];
  const message = `${rival.kind} ${rival.meta.namespace}/${rival.meta.name} has the same phase and priority and is for the same workloads; it goes first, by age or name alone: give the two different priorities.`;
  return [violationAt(extension, "conflicting-extension", "warning", ["spec", "phase"], message)];
}

/** Whether some workload may be selected by both: one selector's labels are among the other's. */
function meet({ options }: Mesh, a: Extension, b: Extension): boolean {
  const namespaces = [a.meta.namespace, b.meta.namespace];
  const together = namespaces[0] === namespaces[1] || namespaces.includes(options.rootNamespace);
  const [one, other] = [a.spec.selector, b.spec.selector];
  return together && (selects(one, other) || selects(other, one));
}

/** Whether some traffic is both's. */
function overlap(a: Extension["spec"]["match"], b: Extension["spec"]["match"]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((one) =>
    b.some((other) => {
      const sameMode = one.mode === other.mode || [one.mode, other.mode].includes("CLIENT_AND_SERVER");
      const anyPort = one.ports.length === 0 || other.ports.length === 0;
      return sameMode && (anyPort || one.ports.some((port) => other.ports.includes(port)));
    }),
  );
}

function podsWithin({ options, workloads }: Mesh, namespace: string) {
  return namespace === options.rootNamespace ? [...workloads.pods.values()] : workloads.podsOf(namespace);
}

/** The name of a Gateway whose proxies the extension would be for. */
function gatewayOf({ gateways, options }: Mesh, { meta, spec }: Extension): string | undefined {
  const found = [...gateways.values()].find(
    (gateway) =>
      (meta.namespace === options.rootNamespace || gateway.meta.namespace === meta.namespace) &&
      selects(spec.selector, gateway.spec.selector),
  );
  return found?.meta.name;
}
