// The arrow's second stage: an untyped object becomes a typed resource, or violations that say what is wrong with it.
import { checkAnnotations } from "./annotations.js";
import { decodeDestinationRule } from "./destination-rule.decode.js";
import { destinationRuleSchema } from "./destination-rule.schema.js";
import { deepFreeze } from "./freeze.js";
import { decodeGateway } from "./gateway.decode.js";
import { gatewaySchema } from "./gateway.schema.js";
import type { AnyResource, Kind } from "./kinds.js";
import { decodeEndpointSlice, decodeNode, decodePod, decodeService } from "./kubernetes.decode.js";
import {
  endpointSliceSchema,
  metadataOnlySchema,
  podSchema,
  secretSchema,
  serviceSchema,
} from "./kubernetes.schema.js";
import { decodeMetadata, openMetadataSchema, strictMetadataSchema } from "./metadata.js";
import { Report } from "./report.js";
import type { FieldPath, ObjectMeta, RawObject } from "./resource.js";
import type { Fields, Raw, Schema } from "./schema.js";
import { didYouMean, type SchemaCheck, schemaCheck } from "./schema-check.js";
import { decodeSecret } from "./secret.decode.js";
import { decodeServiceEntry, decodeWorkloadEntry } from "./service-entry.decode.js";
import { serviceEntrySchema, workloadEntrySchema } from "./service-entry.schema.js";
import { decodeSidecar } from "./sidecar.decode.js";
import { sidecarSchema } from "./sidecar.schema.js";
import { decodeStagedRollout } from "./staged-rollout.decode.js";
import { stagedRolloutSchema } from "./staged-rollout.schema.js";
import { decodeTrafficExtension } from "./traffic-extension.decode.js";
import { trafficExtensionSchema } from "./traffic-extension.schema.js";
import type { Violation } from "./violation.js";
import type { Identity } from "./violation-at.js";
import { decodeVirtualService } from "./virtual-service.decode.js";
import { virtualServiceSchema } from "./virtual-service.schema.js";
import { decodeWasmPlugin } from "./wasm-plugin.decode.js";
import { wasmPluginSchema } from "./wasm-plugin.schema.js";
import { decodeWorkloadGroup } from "./workload-group.decode.js";
import { workloadGroupSchema } from "./workload-group.schema.js";

/** What came of one object. There is a resource when no violation is an error, unless the kind is not read here. */
export interface Decoded {
  readonly resource?: AnyResource;
  readonly violations: readonly Violation[];
}

interface Decoder {
  readonly apiVersions: readonly string[];
  readonly check: SchemaCheck;
  /** Takes a value that passed the check, or the check's copy of it. */
  readonly decode: (value: never, meta: ObjectMeta, report: Report) => unknown;
}

const ISTIO = ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const ISTIO_EXTENSIONS = ["extensions.istio.io/v1alpha1"];
const ANYTHING: Schema<unknown> = {};

const DECODERS: Readonly<Record<Kind, Decoder>> = {
  VirtualService: istio(virtualServiceSchema, decodeVirtualService),
  DestinationRule: istio(destinationRuleSchema, decodeDestinationRule),
  Gateway: istio(gatewaySchema, decodeGateway),
  ServiceEntry: istio(serviceEntrySchema, decodeServiceEntry),
  WorkloadEntry: istio(workloadEntrySchema, decodeWorkloadEntry),
  WorkloadGroup: istio(workloadGroupSchema, decodeWorkloadGroup),
  Sidecar: istio(sidecarSchema, decodeSidecar),
  StagedRollout: strict(["headgate.dev/v1alpha1"], stagedRolloutSchema, decodeStagedRollout),
  WasmPlugin: strict(ISTIO_EXTENSIONS, wasmPluginSchema, decodeWasmPlugin),
  TrafficExtension: strict(ISTIO_EXTENSIONS, trafficExtensionSchema, decodeTrafficExtension),
  Service: kubernetes("v1", serviceSchema, (raw, _, report) => decodeService(raw, report)),
  EndpointSlice: kubernetes("discovery.k8s.io/v1", endpointSliceSchema, decodeEndpointSlice),
  Pod: kubernetes("v1", podSchema, decodePod),
  Node: kubernetes("v1", metadataOnlySchema, (_, meta) => decodeNode(meta)),
  Namespace: kubernetes("v1", metadataOnlySchema, () => ({})),
  Secret: kubernetes("v1", secretSchema, (raw, _, report) => decodeSecret(raw, report)),
};

/**
 * Decodes one object and reports everything that is wrong with it. `defaultNamespace` is its namespace where it names
 * none. Never throws, whatever the value is; the resource is deeply frozen.
 */
export function decodeObject(raw: RawObject, defaultNamespace: string): Decoded {
  const { value } = raw;
  const identity = identityOf(value, defaultNamespace);
  const report = new Report(raw.locate, identity);
  if (!isObject(value)) {
    report.error("not-an-object", [], "The document is no object; it needs apiVersion, kind and metadata.name.");
    return { violations: report.violations };
  }
  const decoder = findDecoder(value, report);
  if (decoder === undefined) return { violations: report.violations };
  const checked = decoder.check(value, report) as { readonly metadata?: Raw<typeof openMetadataSchema> };
  const meta = decodeMetadata(checked.metadata ?? {}, defaultNamespace);
  if (value.kind === "VirtualService") checkAnnotations(meta, report);
  const spec = decoder.decode(checked as never, meta, report);
  const violations = Object.freeze(report.violations);
  if (report.failed) return { violations };
  const resource = deepFreeze({ kind: value.kind, meta, spec, locate: raw.locate }) as AnyResource;
  return { resource, violations };
}

/** The kind, namespace and name of an object, as far as they can be read. */
export function identityOf(value: unknown, defaultNamespace: string): Identity {
  if (!isObject(value)) return {};
  const metadata = isObject(value.metadata) ? value.metadata : {};
  const { name, namespace } = metadata;
  return {
    ...(typeof value.kind === "string" ? { kind: value.kind } : {}),
    namespace: typeof namespace === "string" && namespace !== "" ? namespace : defaultNamespace,
    ...(typeof name === "string" && name !== "" ? { name } : {}),
  };
}

/**
 * The objects in an object: itself, or the items of a List, however deep Lists are within one another. `within` is the
 * way to the object from the one given.
 */
export function expandList(
  raw: RawObject,
  within: FieldPath = [],
): readonly { readonly raw: RawObject; readonly within: FieldPath }[] {
  const { value } = raw;
  const isList = isObject(value) && typeof value.kind === "string" && value.kind.endsWith("List");
  if (!isList || !Array.isArray(value.items)) return [{ raw, within }];
  return value.items.flatMap((item: unknown, index) =>
    expandList({ value: item, locate: (path) => raw.locate(["items", index, ...path]) }, [...within, "items", index]),
  );
}

function findDecoder(value: Readonly<Record<string, unknown>>, report: Report): Decoder | undefined {
  const { apiVersion, kind, metadata } = value;
  for (const name of ["apiVersion", "kind"]) {
    if (typeof value[name] === "string" && value[name] !== "") continue;
    report.error("not-an-object", [name], `The document is no object that Headgate reads: it has no ${name}.`);
  }
  const decoder = typeof kind === "string" && Object.hasOwn(DECODERS, kind) ? DECODERS[kind as Kind] : undefined;
  if (!report.failed && !decoder?.apiVersions.includes(apiVersion as string)) {
    // Such a one needs no name either: a kustomization has none.
    reportUnknownKind(apiVersion as string, kind as string, decoder, report);
    return undefined;
  }
  if (!isObject(metadata) || typeof metadata.name !== "string" || metadata.name === "") {
    report.error("not-an-object", ["metadata", "name"], "The object has no name; set metadata.name.");
  }
  return report.failed ? undefined : decoder;
}

/** Other groups' kinds often share files with those read here, so they get a warning; a mistyped kind is an error. */
function reportUnknownKind(apiVersion: string, kind: string, decoder: Decoder | undefined, report: Report): void {
  const group = apiVersion.split("/")[0] as string;
  const isCore = !apiVersion.includes("/");
  if (decoder && (isCore || decoder.apiVersions.some((known) => known.split("/")[0] === group))) {
    report.error(
      "unknown-kind",
      ["apiVersion"],
      `${kind} has no version ${apiVersion}; use ${decoder.apiVersions[0]}.`,
    );
    return;
  }
  const hint = decoder === undefined ? didYouMean(kind, Object.keys(DECODERS)) : "";
  const ours = group === "networking.istio.io" || hint !== "";
  const message = `Headgate does not read ${kind} of ${apiVersion}; the object has no effect.${hint}`;
  if (ours) report.error("unknown-kind", ["kind"], message);
  else report.warning("unknown-kind", ["kind"], message);
}

function istio<S>(spec: Schema<S>, decode: (raw: S, report: Report) => unknown): Decoder {
  return strict(ISTIO, spec, decode);
}

function strict<S>(
  apiVersions: readonly string[],
  spec: Schema<S>,
  decode: (raw: S, report: Report) => unknown,
): Decoder {
  const schema = object({ metadata: strictMetadataSchema, spec, status: ANYTHING }, ["spec"], false);
  return {
    apiVersions,
    check: schemaCheck(schema),
    decode: (value: { readonly spec?: S | null }, _, report) =>
      value.spec == null ? undefined : decode(value.spec, report),
  };
}

function kubernetes<S extends object>(
  apiVersion: string,
  schema: Schema<S>,
  decode: (raw: S, meta: ObjectMeta, report: Report) => unknown,
): Decoder {
  const properties = { ...(schema.properties as object), metadata: openMetadataSchema };
  return {
    apiVersions: [apiVersion],
    check: schemaCheck(object(properties, schema.required as string[], true)),
    decode: decode as Decoder["decode"],
  };
}

function object(properties: object, required: readonly string[], open: boolean): Schema<Fields<object>> {
  return {
    type: "object",
    properties: { apiVersion: ANYTHING, kind: ANYTHING, ...properties },
    required: [...required],
    ...(open ? {} : { additionalProperties: false }),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
