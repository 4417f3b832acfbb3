// The schema of a WasmPlugin's spec, and of what it has in common with a TrafficExtension's.
import {
  integer,
  labels,
  list,
  map,
  type Raw,
  refused,
  type Schema,
  struct,
  text,
  wholeNumber,
  word,
  works,
} from "./schema.js";

const anything: Schema<unknown> = {};
const anyPriority = integer(-2_147_483_648);

const trafficSelector = struct({
  mode: works("expected", word("UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER")),
  ports: works("expected", list(struct({ number: works("expected", wholeNumber("port")) }, ["number"]))),
});
export type RawTrafficSelector = Raw<typeof trafficSelector>;

const variable = struct(
  {
    name: works("expected", text("environmentVariable")),
    valueFrom: works("expected", word("INLINE", "HOST")),
    value: works("expected", text()),
  },
  ["name"],
);
export type RawVariable = Raw<typeof variable>;

/** What says which traffic an extension is for. */
export const placementFields = {
  selector: works("core", struct({ matchLabels: works("core", labels()) })),
  targetRefs: refused("rare"),
  priority: works("expected", anyPriority),
  match: works("expected", list(trafficSelector)),
};

/** What says which module is run, and how. */
export const wasmFields = {
  url: works("core", text("moduleUrl")),
  sha256: works("expected", text("sha256")),
  imagePullPolicy: works("expected", word("UNSPECIFIED_POLICY", "IfNotPresent", "Always")),
  imagePullSecret: works("expected", text("objectName")),
  verificationKey: refused("rare"),
  pluginConfig: works("core", map(anything)),
  pluginName: works("expected", text()),
  failStrategy: works("core", word("FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD")),
  vmConfig: works("expected", struct({ env: works("expected", list(variable)) })),
  type: works("expected", word("UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK")),
};

const wasmFilter = struct(wasmFields, ["url"]);
export type RawWasmFilter = Raw<typeof wasmFilter>;

export const wasmPluginSchema = struct(
  {
    ...placementFields,
    targetRef: refused("rare"),
    phase: works("core", word("UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS")),
    ...wasmFields,
  },
  ["url"],
);
export type RawWasmPlugin = Raw<typeof wasmPluginSchema>;
