// TrafficExtension (extensions.istio.io/v1alpha1): WasmPlugin's successor, a Wasm filter or a Lua script in proxies.
import type { Resource } from "./resource.js";
import type { Placement, WasmFilter } from "./wasm-plugin.js";

/** With exactly one of the two. */
export interface TrafficExtensionSpec extends Placement {
  readonly wasm?: WasmFilter;
  /** The script's text. */
  readonly lua?: string;
}

export type TrafficExtension = Resource<"TrafficExtension", TrafficExtensionSpec>;
