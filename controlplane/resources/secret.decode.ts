// Decodes a Secret and checks the certificates and keys it brings for TLS. No message says anything of what is in them.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { SecretSpec } from "./kubernetes.js";
import type { RawSecret } from "./kubernetes.schema.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

/** The keys of kubernetes.io/tls, and those of a generic secret in Istio's own naming. */
const NAMINGS = [
  { certificate: "tls.crt", key: "tls.key" },
  { certificate: "cert", key: "key" },
];
const AUTHORITIES = ["ca.crt", "cacert"];
/** A bundle of all the world's authorities has about 150. */
const MOST_CERTIFICATES = 1_000;
const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function decodeSecret(raw: RawSecret, report: Report): SecretSpec {
  const type = raw.type ?? "Opaque";
  const entries = new Map<string, { value: Uint8Array; path: FieldPath }>();
  for (const [name, encoded] of Object.entries(raw.data ?? {})) {
    const path = ["data", name];
    entries.set(name, { value: decodeBase64(encoded, path, report), path });
  }
  // Kubernetes' documentation: stringData wins over data.
  for (const [name, text] of Object.entries(raw.stringData ?? {})) {
    entries.set(name, { value: new TextEncoder().encode(text), path: ["stringData", name] });
  }
  if (type === "kubernetes.io/tls" && report.sound([])) {
    for (const name of ["tls.crt", "tls.key"]) {
      if (!entries.has(name)) report.error("missing-field", ["data", name], `A secret of type ${type} needs ${name}.`);
    }
  }
  if (!report.failed) reportCertificates(entries, type, report);
  return { type, data: new Map([...entries].map(([name, { value }]) => [name, value])) };
}

type Entries = ReadonlyMap<string, { readonly value: Uint8Array; readonly path: FieldPath }>;

function decodeBase64(encoded: string, path: FieldPath, report: Report): Uint8Array {
  const compact = encoded.replace(/\s+/g, "");
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    report.error("invalid-value", path, "The value is not base64; write plain text under stringData.");
  }
  return new Uint8Array(Buffer.from(compact, "base64"));
}

function reportCertificates(entries: Entries, type: string, report: Report): void {
  for (const { certificate, key } of NAMINGS) {
    const [certificateEntry, keyEntry] = [entries.get(certificate), entries.get(key)];
    // A generic secret can have a "key" that is nobody's private key.
    if (certificateEntry === undefined || keyEntry === undefined) continue;
    const first = parseChain(certificateEntry.value)?.[0];
    if (first === undefined) {
      report.error("invalid-certificate", certificateEntry.path, `${certificate} is no certificate in PEM form.`);
    }
    const privateKey = parseKey(keyEntry.value);
    if (privateKey === undefined) {
      const message = `${key} is no private key in PEM form without a passphrase.`;
      report.error("invalid-certificate", keyEntry.path, message);
    }
    if (first !== undefined && privateKey !== undefined && !first.checkPrivateKey(privateKey)) {
      const message = `${key} is not the key of the first certificate in ${certificate}.`;
      report.error("invalid-certificate", keyEntry.path, message);
    }
  }
  const hasPair = NAMINGS.some(({ certificate }) => entries.has(certificate));
  for (const name of AUTHORITIES) {
    const entry = entries.get(name);
    if (entry === undefined || (type !== "kubernetes.io/tls" && !hasPair && entries.size > 1)) continue;
    if (parseChain(entry.value) === undefined) {
      report.error("invalid-certificate", entry.path, `${name} has no certificates in PEM form.`);
    }
  }
}

/** The certificates of a bundle, or undefined where there is none or one that cannot be read. */
function parseChain(bytes: Uint8Array): readonly X509Certificate[] | undefined {
  const blocks = Buffer.from(bytes).toString("latin1").match(CERTIFICATE_BLOCK) ?? [];
  if (blocks.length === 0 || blocks.length > MOST_CERTIFICATES) return undefined;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

function parseKey(bytes: Uint8Array): KeyObject | undefined {
  try {
    return createPrivateKey(Buffer.from(bytes));
  } catch {
    return undefined;
  }
}
