// Decodes TrafficExtension.
import type { Report } from "./report.js";
import type { RawTrafficExtension } from "./traffic-extension.schema.js";
import { decodePlacement, decodeWasmFilter } from "./wasm-plugin.decode.js";
import type { WasmPluginSpec } from "./wasm-plugin.js";

export function decodeTrafficExtension(raw: RawTrafficExtension, report: Report): WasmPluginSpec {
  return { ...decodePlacement(raw), wasm: decodeWasmFilter(raw.wasm ?? {}, ["spec", "wasm"], report) };
}
