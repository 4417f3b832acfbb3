// Decodes TrafficExtension.
import { exactlyOne, maybe, present } from "./fields.js";
import type { Report } from "./report.js";
import type { TrafficExtensionSpec } from "./traffic-extension.js";
import type { RawTrafficExtension } from "./traffic-extension.schema.js";
import { decodePlacement, decodeWasmFilter } from "./wasm-plugin.decode.js";

/** Istio's bound on a script, in bytes. */
const LONGEST_SCRIPT = 65_536;

export function decodeTrafficExtension(raw: RawTrafficExtension, report: Report): TrafficExtensionSpec {
  exactlyOne(raw, ["wasm", "lua"], ["spec"], report);
  const lua = raw.lua?.inlineCode ?? undefined;
  if (lua !== undefined && Buffer.byteLength(lua) > LONGEST_SCRIPT) {
    const message = `The script has more than ${LONGEST_SCRIPT} bytes; write a Wasm filter instead.`;
    report.error("invalid-value", ["spec", "lua", "inlineCode"], message);
  }
  const wasm = maybe(raw.wasm, (filter) => decodeWasmFilter(filter, ["spec", "wasm"], report));
  return present({ ...decodePlacement(raw), wasm, lua });
}
