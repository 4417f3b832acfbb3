// The WasmPlugins and TrafficExtensions that a request passes through at a proxy: named, not run.
import type { Extension } from "../mesh/extensions.js";
import type { Phase } from "../resources/wasm-plugin.js";
import type { Context } from "../translate/context.js";
import { placedExtensions } from "../translate/extensions.js";

export interface PassedExtension {
  readonly kind: Extension["kind"];
  readonly namespace: string;
  readonly name: string;
  readonly phase: Phase;
  readonly priority: number;
  /** Whether it sees the request before its route is decided; what it does to the request may then change that. */
  readonly place: "before" | "after";
  /** Of its module; null for a script. */
  readonly url: string | null;
}

/** In the filter chain's order, for a request that the workload, or a gateway's client, sends to the port. */
export function passedExtensions(context: Context, port: number): readonly PassedExtension[] {
  const { early, late } = placedExtensions(context, { mode: "CLIENT", port });
  return [...early.map((extension) => describe(extension, "before")), ...late.map((one) => describe(one, "after"))];
}

function describe({ kind, meta, spec }: Extension, place: PassedExtension["place"]): PassedExtension {
  const { namespace, name } = meta;
  return { kind, namespace, name, phase: spec.phase, priority: spec.priority, place, url: spec.wasm?.url ?? null };
}
