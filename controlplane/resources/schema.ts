// The words the kinds' schemas are written in: JSON schemas that carry our own annotations and their TypeScript types.
import type { CheckName } from "./checks.js";

declare const type: unique symbol;

/**
 * A JSON schema for values of type T. Ours are the keywords `check` (a named check), `keyCheck` (one for an object's keys), `words` (the admitted words),
 * `support` (an annotation, which the documentation is made from) and `notice` (what to say when the field is written).
 */
export type Schema<T> = Readonly<Record<string, unknown>> & { readonly [type]?: T };

/** The type of the values that a schema admits. Fields may be absent or null, also required ones: see Fields. */
export type Raw<S> = S extends Schema<infer T> ? T : never;

/**
 * An object's fields. All are optional here, because decoding goes on past a fault to find the others; what is required
 * is said by the schema and reported before decoding.
 */
export type Fields<P> = { readonly [K in keyof P]?: Raw<P[K]> | null };

/** How much a field is used by Istio's users: docs/api-support.md sorts by it. */
export type Tier = "core" | "expected" | "rare";

/** What Headgate does with a field that is part of Istio's API. */
export interface Support {
  readonly status: "works" | "refused";
  readonly tier: Tier;
  /** For a deprecated field that still works: what to write instead. */
  readonly successor?: string;
}

/** A field that has its documented effect. */
export function works<T>(tier: Tier, schema: Schema<T>): Schema<T> {
  return annotate(schema, { status: "works", tier });
}

/** A field that is known and refused, because ignoring it silently would be worse. */
export function refused(tier: Tier): Schema<unknown> {
  return annotate({}, { status: "refused", tier });
}

/** A field that works and has a successor; writing it gives a warning that names the successor. */
export function deprecated<T>(schema: Schema<T>, successor: string): Schema<T> {
  return annotate(schema, { status: "works", tier: "rare", successor });
}

function annotate<T>(schema: Schema<T>, support: Support): Schema<T> {
  const isNoteworthy = support.status === "refused" || support.successor !== undefined;
  return {
    ...schema,
    ...(schema.type === undefined ? {} : { nullable: true }),
    support,
    ...(isNoteworthy ? { notice: support } : {}),
  };
}

/** A string, held against a named check. */
export function text(check?: CheckName): Schema<string> {
  return { type: "string", ...(check === undefined ? {} : { check }) };
}

/** One of some words. "UNSPECIFIED" words that mean absence are listed like the others. */
export function word<const W extends string>(...words: readonly W[]): Schema<W> {
  return { type: "string", words };
}

/** A whole number of 32 bits, from `minimum` on. */
export function integer(minimum = 0, maximum = 2_147_483_647): Schema<number> {
  return { type: "integer", minimum, maximum };
}

/** A number, held against a named check. */
export function number(check?: CheckName): Schema<number> {
  return { type: "number", ...(check === undefined ? {} : { check }) };
}

/** A whole number, held against a named check. */
export function wholeNumber(check: CheckName): Schema<number> {
  return { type: "integer", check };
}

export function flag(): Schema<boolean> {
  return { type: "boolean" };
}

export function list<T>(items: Schema<T>, minItems = 0): Schema<readonly T[]> {
  return { type: "array", items, ...(minItems === 0 ? {} : { minItems }) };
}

/** An object whose keys the user chooses, held against a named check. */
export function map<T>(values: Schema<T>, keyCheck?: CheckName): Schema<Readonly<Record<string, T>>> {
  return { type: "object", additionalProperties: values, ...(keyCheck === undefined ? {} : { keyCheck }) };
}

/** An object with these fields and no others. */
export function struct<P extends Readonly<Record<string, Schema<unknown>>>>(
  properties: P,
  required: readonly (keyof P & string)[] = [],
): Schema<Fields<P>> {
  return { ...openStruct(properties, required), additionalProperties: false };
}

/** An object of which only these fields are read; others are somebody else's. */
export function openStruct<P extends Readonly<Record<string, Schema<unknown>>>>(
  properties: P,
  required: readonly (keyof P & string)[] = [],
): Schema<Fields<P>> {
  const notNull = required.map((name) => [name, { ...properties[name], nullable: false }]);
  return { type: "object", properties: { ...properties, ...Object.fromEntries(notNull) }, required: [...required] };
}

/** The labels of a workload or object. */
export function labels(): Schema<Readonly<Record<string, string>>> {
  return map(text("labelValue"), "labelKey");
}
