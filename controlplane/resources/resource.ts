// The typed objects that the rest of the control plane works on, and the untyped ones they are decoded from.
import type { Position } from "./violation.js";

/** The steps to a field: property names and array indexes, as in ["spec", "http", 0, "match"]. */
export type FieldPath = readonly (string | number)[];

/** One document as a source found it, not yet checked. */
export interface RawObject {
  readonly value: unknown;
  /** Where the field, or its nearest existing ancestor, stands in its file. */
  readonly locate: (path: FieldPath) => Position | undefined;
}

/** The metadata of an object that passed decoding. */
export interface ObjectMeta {
  readonly name: string;
  /** Never empty: the source's default namespace where the document gave none. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; orders objects of equal standing, the oldest first; 0 when unknown (a file). */
  readonly createdAt: number;
}

/** A decoded object. Frozen; an unchanged document keeps its identity from one mesh to the next. */
export interface Resource<Kind extends string, Spec> {
  readonly kind: Kind;
  readonly meta: ObjectMeta;
  readonly spec: Spec;
  /** Locates a field for violations found later, between objects. */
  readonly locate: (path: FieldPath) => Position | undefined;
}

/** kind/namespace/name, the key of an object among all others. */
export function resourceKey(resource: { kind: string; meta: { namespace: string; name: string } }): string {
  return `${resource.kind}/${resource.meta.namespace}/${resource.meta.name}`;
}
