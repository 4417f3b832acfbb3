// A resource as people read it: decoded, with what is secret left out and what is no text told by its size and hash.
import { createHash, X509Certificate } from "node:crypto";
import { fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import type { DataSource } from "../gen/envoy/config/core/v3/base_pb.js";
import { type Secret, SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { XdsResource } from "../xds/snapshot.js";
import { messageTypes } from "./message-types.js";

/** Above this, decoding would hold up others. Bytes. */
const LARGEST_SHOWN = 4 * 1024 * 1024;
const SECRET = SecretSchema.typeName;

/** Plain JSON in protobuf's own form. Of a secret it has the certificates' subjects and expiry, never any content. */
export function viewResource(resource: XdsResource): JsonValue {
  if (resource.any.length > LARGEST_SHOWN) return { omitted: `${resource.any.length} bytes are too many to show` };
  const any = fromBinary(AnySchema, resource.any);
  const message = anyUnpack(any, messageTypes);
  if (!message) return { omitted: `${any.value.length} bytes of ${any.typeUrl}` };
  if (message.$typeName === SECRET) return viewSecret(message as Secret);
  return readable(viewAny(any));
}

/** Without "@type", which the resource's own type URL says. */
function viewAny(any: Any): JsonValue {
  const { "@type": _, ...fields } = toJson(AnySchema, any, { registry: messageTypes }) as Record<string, JsonValue>;
  return fields;
}

const SECRET_FIELDS = new Set(["privateKey", "password", "genericSecret", "sessionTicketKeys", "pkcs12"]);
const BYTES_VALUE = "type.googleapis.com/google.protobuf.BytesValue";

function readable(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  const { "@type": type, ...fields } = value;
  const entries = Object.entries(fields).map(([key, inner]): [string, JsonValue] => {
    if (SECRET_FIELDS.has(key) && !isFileName(inner)) return [key, "(secret)"];
    const isBytes = key === "inlineBytes" || (key === "value" && type === BYTES_VALUE);
    return [key, isBytes && typeof inner === "string" ? describeBytes(inner) : readable(inner)];
  });
  // The type first, for whoever reads.
  return Object.fromEntries(type === undefined ? entries : [["@type", type], ...entries]);
}

/** Where a secret lies on the proxy's own machine is not secret. */
function isFileName(value: JsonValue): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).join() === "filename";
}

function describeBytes(base64: string): string {
  const bytes = Buffer.from(base64, "base64");
  return `(${bytes.length} bytes, SHA-256 ${createHash("sha256").update(bytes).digest("hex").slice(0, 16)})`;
}

function viewSecret({ name, type }: Secret): JsonValue {
  if (type.case === "tlsCertificate") return { name, certificateChain: viewChain(type.value.certificateChain) };
  if (type.case === "validationContext") return { name, trustedCa: viewChain(type.value.trustedCa) };
  return { name, holds: type.case ?? "nothing" };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const MOST_CERTIFICATES = 10;

function viewChain(source: DataSource | undefined): JsonValue {
  if (source?.specifier.case === "filename") return { file: source.specifier.value };
  if (source?.specifier.case !== "inlineBytes") return [];
  const blocks = Buffer.from(source.specifier.value).toString("latin1").match(CERTIFICATE) ?? [];
  const shown = blocks.slice(0, MOST_CERTIFICATES).map(viewCertificate);
  return blocks.length > MOST_CERTIFICATES ? [...shown, `and ${blocks.length - MOST_CERTIFICATES} more`] : shown;
}

function viewCertificate(pem: string): JsonValue {
  try {
    const { subject, validTo } = new X509Certificate(pem);
    return { subject: (subject ?? "").replaceAll("\n", ", "), expires: new Date(validTo).toISOString() };
  } catch {
    return { subject: "(unreadable)" };
  }
}
