// Envoy messages -> resources as they travel: named, encoded once, versioned by their content.
import { hash } from "node:crypto";
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";

/** One resource for the wire. */
export interface EnvoyResource {
  readonly typeUrl: string;
  readonly name: string;
  /** A hash of the content. */
  readonly version: string;
  /** The encoded google.protobuf.Any. */
  readonly any: Uint8Array;
}

export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`;
}

export function pack<S extends DescMessage>(schema: S, message: MessageShape<S>): Any {
  return create(AnySchema, { typeUrl: typeUrlOf(schema), value: toBinary(schema, message) });
}

export function encodeResource<S extends DescMessage>(
  schema: S,
  name: string,
  message: MessageShape<S>,
): EnvoyResource {
  return encodeBytes(schema, name, toBinary(schema, message));
}

/** The field numbers of google.protobuf.Any. */
const ANY = { typeUrl: 1, value: 2 } as const;

/** For a message that is encoded already. */
export function encodeBytes(schema: DescMessage, name: string, message: Uint8Array): EnvoyResource {
  const typeUrl = typeUrlOf(schema);
  const any = encodeAny(typeUrl, message);
  return Object.freeze({ typeUrl, name, version: contentHash(any), any });
}

/** As toBinary() does it, at a fifth of the cost. */
function encodeAny(typeUrl: string, value: Uint8Array): Uint8Array {
  const writer = new BinaryWriter().tag(ANY.typeUrl, WireType.LengthDelimited).string(typeUrl);
  if (value.length > 0) writer.tag(ANY.value, WireType.LengthDelimited).bytes(value);
  return writer.finish();
}

/** 128 bits of SHA-256, in 22 characters that need no quoting anywhere. */
export function contentHash(bytes: Uint8Array): string {
  return hash("sha256", bytes, "base64url").slice(0, 22);
}
