// Extensions of the filter chain, WasmPlugins and TrafficExtensions alike: their order, and the proxies they are for.
import type { TrafficExtension } from "../resources/traffic-extension.js";
import type { Phase, WasmFilter, WasmPlugin } from "../resources/wasm-plugin.js";
import type { Mesh } from "./mesh.js";
import type { Viewer } from "./scope.js";
import { selects } from "./workloads.js";

export type Extension = WasmPlugin | TrafficExtension;

/** One that runs a module. */
export type WasmExtension = Extension & { readonly spec: { readonly wasm: WasmFilter } };

export function runsModule(extension: Extension): extension is WasmExtension {
  return extension.spec.wasm !== undefined;
}

const PHASES: readonly Phase[] = ["AUTHN", "AUTHZ", "STATS", "UNSPECIFIED"];

/**
 * In the order of the filter chain: by phase; then, as Istio says, the highest priority first, and of equal ones the
 * oldest, then by name and namespace.
 */
export function orderExtensions(extensions: readonly Extension[]): readonly Extension[] {
  return [...extensions].sort(
    (a, b) =>
      PHASES.indexOf(a.spec.phase) - PHASES.indexOf(b.spec.phase) ||
      b.spec.priority - a.spec.priority ||
      a.meta.createdAt - b.meta.createdAt ||
      compare(a.meta.name, b.meta.name) ||
      compare(a.meta.namespace, b.meta.namespace) ||
      compare(a.kind, b.kind),
  );
}

/** Those that are for a proxy, in the order of the chain: of its namespace and of the root namespace. */
export function extensionsFor(mesh: Pick<Mesh, "extensions" | "options">, viewer: Viewer): readonly Extension[] {
  return mesh.extensions.filter(({ meta, spec }) => {
    const reaches = meta.namespace === viewer.namespace || meta.namespace === mesh.options.rootNamespace;
    return reaches && selects(spec.selector, viewer.labels);
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
