// TrafficExtension (extensions.istio.io/v1alpha1): WasmPlugin's successor, which says the same of a Wasm filter.
import type { Resource } from "./resource.js";
import type { WasmPluginSpec } from "./wasm-plugin.js";

export type TrafficExtension = Resource<"TrafficExtension", WasmPluginSpec>;
