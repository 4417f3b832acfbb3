// Decodes a DestinationRule's TLS settings towards its host.
import type { ClientTlsSettings } from "./destination-rule.js";
import type { RawClientTls } from "./destination-rule.schema.js";
import { listOf, namesOfSet, nonEmpty, optional, present } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

const FILES = ["clientCertificate", "privateKey", "caCertificates", "caCrl"];

export function decodeClientTls(raw: RawClientTls, path: FieldPath, report: Report): ClientTlsSettings {
  const mode = raw.mode ?? "DISABLE";
  if (report.sound(path)) {
    if (mode === "ISTIO_MUTUAL") reportFieldsOfOtherModes(raw, path, report);
    if (mode === "MUTUAL") reportMissingFiles(raw, path, report);
    reportCredentialAndFiles(raw, path, report);
  }
  return present({
    mode,
    clientCertificate: nonEmpty(raw.clientCertificate),
    privateKey: nonEmpty(raw.privateKey),
    caCertificates: nonEmpty(raw.caCertificates),
    caCrl: nonEmpty(raw.caCrl),
    credentialName: nonEmpty(raw.credentialName),
    subjectAltNames: listOf(raw.subjectAltNames),
    sni: nonEmpty(raw.sni),
    insecureSkipVerify: optional(raw.insecureSkipVerify),
  });
}

/** Istio's documentation: with ISTIO_MUTUAL all other fields are empty; SNI and names may be set. */
function reportFieldsOfOtherModes(raw: RawClientTls, path: FieldPath, report: Report): void {
  for (const name of namesOfSet(raw, [...FILES, "credentialName"])) {
    const message = `${name} cannot be set with ISTIO_MUTUAL, which brings its own certificates.`;
    report.error("conflicting-fields", [...path, name], message);
  }
}

function reportMissingFiles(raw: RawClientTls, path: FieldPath, report: Report): void {
  if (raw.credentialName != null) return;
  for (const name of ["clientCertificate", "privateKey"] as const) {
    if (nonEmpty(raw[name]) !== undefined) continue;
    report.error("missing-field", [...path, name], `MUTUAL needs ${name}, or a credentialName.`);
  }
}

function reportCredentialAndFiles(raw: RawClientTls, path: FieldPath, report: Report): void {
  if (raw.credentialName == null || raw.mode === "ISTIO_MUTUAL") return;
  for (const name of namesOfSet(raw, FILES)) {
    const message = `credentialName and ${name} exclude each other; the secret brings it all.`;
    report.error("conflicting-fields", [...path, name], message);
  }
}
