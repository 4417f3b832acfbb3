// What Headgate does with every field of Istio's API, read off the schemas; docs/api-support.md is made from it.
import { destinationRuleSchema } from "./destination-rule.schema.js";
import { gatewaySchema } from "./gateway.schema.js";
import type { Kind } from "./kinds.js";
import type { Schema, Support } from "./schema.js";
import { serviceEntrySchema, workloadEntrySchema } from "./service-entry.schema.js";
import { sidecarSchema } from "./sidecar.schema.js";
import { trafficExtensionSchema } from "./traffic-extension.schema.js";
import { virtualServiceSchema } from "./virtual-service.schema.js";
import { wasmPluginSchema } from "./wasm-plugin.schema.js";
import { workloadGroupSchema } from "./workload-group.schema.js";

export interface FieldSupport {
  readonly kind: Kind;
  /** As in spec.http[].match[].headers{}.exact: [] for each entry of a list, {} for each value of a map. */
  readonly path: string;
  /** Undefined for a field that nobody thought about; a test keeps that from happening. */
  readonly support: Support | undefined;
}

/** The schema of each of Istio's kinds. */
export const ISTIO_SCHEMAS: readonly (readonly [Kind, Schema<unknown>])[] = [
  ["VirtualService", virtualServiceSchema],
  ["DestinationRule", destinationRuleSchema],
  ["Gateway", gatewaySchema],
  ["ServiceEntry", serviceEntrySchema],
  ["WorkloadEntry", workloadEntrySchema],
  ["WorkloadGroup", workloadGroupSchema],
  ["Sidecar", sidecarSchema],
  ["WasmPlugin", wasmPluginSchema],
  ["TrafficExtension", trafficExtensionSchema],
];

/** All fields, in the order of the schemas, outer before inner. */
export function listSupport(): readonly FieldSupport[] {
  return ISTIO_SCHEMAS.flatMap(([kind, schema]) => fieldsOf(schema, kind, "spec"));
}

function fieldsOf(schema: Schema<unknown>, kind: Kind, path: string): FieldSupport[] {
  const {
    properties = {},
    items,
    additionalProperties,
  } = schema as {
    readonly properties?: Readonly<Record<string, Schema<unknown>>>;
    readonly items?: Schema<unknown>;
    readonly additionalProperties?: Schema<unknown> | boolean;
  };
  const own = Object.entries(properties).flatMap(([name, field]) => [
    { kind, path: `${path}.${name}`, support: field.support as Support | undefined },
    ...fieldsOf(field, kind, `${path}.${name}`),
  ]);
  const inList = items === undefined ? [] : fieldsOf(items, kind, `${path}[]`);
  const inMap = typeof additionalProperties === "object" ? fieldsOf(additionalProperties, kind, `${path}{}`) : [];
  return [...own, ...inList, ...inMap];
}
