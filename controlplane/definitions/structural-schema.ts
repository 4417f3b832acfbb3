// A kind's schema -> the structural schema of its CustomResourceDefinition.
import type { Schema, Support } from "../resources/schema.js";

/** The words of OpenAPI that a definition may use. */
export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly nullable?: boolean;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly required?: readonly string[];
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
}

/** What has no counterpart there; Headgate holds objects against it itself. */
const OURS = new Set(["check", "keyCheck", "notice"]);
const ANYTHING: StructuralSchema = { "x-kubernetes-preserve-unknown-fields": true };

/**
 * Carries over types, required fields, bounds and words. An object keeps the fields that it should not have: the API
 * server would drop them silently, where Headgate says what is wrong with them. Throws on a keyword that is not known.
 */
export function structuralSchema(schema: Schema<unknown>): StructuralSchema {
  const { type } = schema as { readonly type?: unknown };
  const description = describe(schema.support as Support | undefined);
  if (type === undefined) return { ...description, ...ANYTHING };
  if (typeof type !== "string") throw new Error(`A definition cannot have the types ${type}.`);
  const entries = Object.entries(schema).flatMap(([keyword, value]) => carryOver(keyword, value));
  const isStruct = "properties" in schema;
  return { type, ...description, ...Object.fromEntries(entries), ...(isStruct ? ANYTHING : {}) };
}

function carryOver(keyword: string, value: unknown): readonly (readonly [string, unknown])[] {
  switch (keyword) {
    case "properties":
      return [[keyword, mapValues(value as Readonly<Record<string, Schema<unknown>>>, structuralSchema)]];
    case "items":
      return [[keyword, structuralSchema(value as Schema<unknown>)]];
    case "additionalProperties":
      return value === false ? [] : [[keyword, structuralSchema(value as Schema<unknown>)]];
    case "required":
      return (value as readonly string[]).length === 0 ? [] : [[keyword, value]];
    case "words":
      return [["enum", value]];
    case "nullable":
      return value === true ? [[keyword, true]] : [];
    case "minItems":
    case "minimum":
    case "maximum":
      return [[keyword, value]];
    case "type":
    case "support":
      return [];
    default:
      if (OURS.has(keyword)) return [];
      throw new Error(`A definition has nothing for the keyword ${keyword}.`);
  }
}

function describe(support: Support | undefined): { readonly description?: string } {
  if (support?.status === "refused") return { description: "Headgate does not support this field, and refuses it." };
  return support?.successor === undefined ? {} : { description: `Deprecated: write ${support.successor} instead.` };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Readonly<Record<string, B>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
