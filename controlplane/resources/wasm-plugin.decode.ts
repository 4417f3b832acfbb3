// Decodes a WasmPlugin, and the parts of a TrafficExtension that are the same.
import { labelsOf, maybe, nonEmpty, optional, present, reportRepeats } from "./fields.js";
import { isOpenAddress, type ModuleSource, parseModuleSource } from "./module-source.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";
import type { Placement, TrafficSelector, WasmFilter, WasmPluginSpec } from "./wasm-plugin.js";
import type { RawTrafficSelector, RawVariable, RawWasmFilter, RawWasmPlugin } from "./wasm-plugin.schema.js";

/** Of Istio's VmConfig. */
const MOST_VARIABLES = 256;

/** Stands in for a source that could not be read; the object is not used then. */
const NO_SOURCE: ModuleSource = { type: "file", path: "/" };

export function decodeWasmPlugin(raw: RawWasmPlugin, report: Report): WasmPluginSpec {
  return { ...decodePlacement(raw), wasm: decodeWasmFilter(raw, ["spec"], report) };
}

export function decodePlacement(raw: {
  readonly selector?: RawWasmPlugin["selector"];
  readonly phase?: string | null;
  readonly priority?: number | null;
  readonly match?: readonly RawTrafficSelector[] | null;
}): Placement {
  const phase = (raw.phase ?? "").replace(/^EXECUTION_PHASE_|_PHASE$/g, "");
  return {
    selector: labelsOf(raw.selector?.matchLabels),
    phase: phase === "AUTHN" || phase === "AUTHZ" || phase === "STATS" ? phase : "UNSPECIFIED",
    priority: raw.priority ?? 0,
    match: (raw.match ?? []).map(decodeSelector),
  };
}

function decodeSelector({ mode, ports }: RawTrafficSelector): TrafficSelector {
  return {
    mode: mode === "CLIENT" || mode === "SERVER" ? mode : "CLIENT_AND_SERVER",
    ports: (ports ?? []).map(({ number }) => number ?? 0),
  };
}

/** `path` is that of the object that has the fields. */
export function decodeWasmFilter(raw: RawWasmFilter, path: FieldPath, report: Report): WasmFilter {
  const url = raw.url ?? "";
  const source = parseModuleSource(url) ?? NO_SOURCE;
  const sha256 = nonEmpty(raw.sha256);
  reportSource(raw, source, path, report);
  if (raw.type === "NETWORK") {
    const message = "Only filters of HTTP requests are run, not those of connections; use HTTP.";
    report.error("unsupported-field", [...path, "type"], message);
  }
  const variables = decodeVariables(raw.vmConfig?.env ?? [], [...path, "vmConfig", "env"], report);
  return present({
    url,
    source,
    sha256,
    pullPolicy: pullPolicy(raw, source),
    pullSecret: nonEmpty(raw.imagePullSecret),
    configuration: maybe(raw.pluginConfig, (config) => JSON.stringify(config)) ?? "",
    pluginName: raw.pluginName ?? "",
    failStrategy: optional(raw.failStrategy) ?? "FAIL_CLOSE",
    ...variables,
  });
}

function reportSource(raw: RawWasmFilter, source: ModuleSource, path: FieldPath, report: Report): void {
  const sha256 = nonEmpty(raw.sha256);
  if (source.type === "http" && sha256 === undefined && isOpenAddress(source.url)) {
    const message = "What comes without TLS can be changed on its way: write https, or give its sha256.";
    report.error("invalid-value", [...path, "url"], message);
  }
  if (source.type === "oci" && source.digest !== undefined && sha256 !== undefined && sha256 !== source.digest) {
    const message = "The url's digest is another one: keep one of the two.";
    report.error("conflicting-fields", [...path, "sha256"], message);
  }
  if (nonEmpty(raw.imagePullSecret) !== undefined && source.type !== "oci") {
    report.warning("ignored-field", [...path, "imagePullSecret"], "Only an image is pulled with a secret.");
  }
}

/** As Istio: what is there will do, except for an image of the tag latest that no digest pins. */
function pullPolicy(raw: RawWasmFilter, source: ModuleSource): WasmFilter["pullPolicy"] {
  if (raw.imagePullPolicy === "Always" || raw.imagePullPolicy === "IfNotPresent") return raw.imagePullPolicy;
  const floats = source.type === "oci" && source.tag === "latest" && source.digest === undefined;
  return floats ? "Always" : "IfNotPresent";
}

function decodeVariables(
  raw: readonly RawVariable[],
  path: FieldPath,
  report: Report,
): Pick<WasmFilter, "environment" | "hostEnvironment"> {
  if (raw.length > MOST_VARIABLES) {
    report.error("invalid-value", path, `There are ${raw.length} variables; at most ${MOST_VARIABLES} are taken.`);
  }
  reportRepeats(
    raw,
    ({ name }) => optional(name),
    (index) => report.error("invalid-value", [...path, index, "name"], "The variable stands in the list twice."),
  );
  const environment = new Map<string, string>();
  const hostEnvironment: string[] = [];
  for (const [index, { name, value, valueFrom }] of raw.entries()) {
    if (valueFrom !== "HOST") environment.set(name ?? "", value ?? "");
    else hostEnvironment.push(name ?? "");
    if (valueFrom === "HOST" && value != null) {
      const message = "The value comes from the proxy's environment: remove this one, or valueFrom.";
      report.error("conflicting-fields", [...path, index, "value"], message);
    }
  }
  return { environment, hostEnvironment };
}
