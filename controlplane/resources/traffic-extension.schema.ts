// The schema of a TrafficExtension's spec.
import { type Raw, struct, text, word, works } from "./schema.js";
import { placementFields, wasmFields } from "./wasm-plugin.schema.js";

/** Istio's documentation writes the phases without the prefix that they have in its proto. */
const phase = word(
  "EXECUTION_PHASE_UNSPECIFIED",
  "EXECUTION_PHASE_AUTHN",
  "EXECUTION_PHASE_AUTHZ",
  "EXECUTION_PHASE_STATS",
  "UNSPECIFIED",
  "AUTHN",
  "AUTHZ",
  "STATS",
);

export const trafficExtensionSchema = struct({
  ...placementFields,
  phase: works("core", phase),
  wasm: works("core", struct(wasmFields, ["url"])),
  lua: works("core", struct({ inlineCode: works("core", text("notEmpty")) }, ["inlineCode"])),
});
export type RawTrafficExtension = Raw<typeof trafficExtensionSchema>;
