// Decodes the TLS settings of what listens: a Gateway's servers and a Sidecar's ingress listeners.
import { listOf, namesOfSet, nonEmpty, optional, present, reportRepeats } from "./fields.js";
import type { ServerTlsSettings } from "./gateway.js";
import type { RawServerTls } from "./gateway.schema.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

const CERTIFICATES = ["serverCertificate", "privateKey", "caCertificates", "credentialName"];

export function decodeServerTls(raw: RawServerTls, path: FieldPath, report: Report): ServerTlsSettings {
  if (report.sound(path)) reportCertificates(raw, path, report);
  reportVersions(raw, path, report);
  reportRepeats(
    raw.cipherSuites ?? [],
    (suite) => suite,
    (index) => report.error("invalid-value", [...path, "cipherSuites", index], "The cipher suite stands twice."),
  );
  const mode = raw.mode ?? (raw.httpsRedirect === true ? undefined : "PASSTHROUGH");
  return present({
    httpsRedirect: raw.httpsRedirect ?? false,
    mode,
    credentialName: nonEmpty(raw.credentialName),
    serverCertificate: nonEmpty(raw.serverCertificate),
    privateKey: nonEmpty(raw.privateKey),
    caCertificates: nonEmpty(raw.caCertificates),
    subjectAltNames: listOf(raw.subjectAltNames),
    minProtocolVersion: versionOf(raw.minProtocolVersion),
    maxProtocolVersion: versionOf(raw.maxProtocolVersion),
    cipherSuites: listOf(raw.cipherSuites),
  });
}

/** Each mode needs certificates, or has none. Those of a credentialName are looked for later, among the secrets. */
function reportCertificates(raw: RawServerTls, path: FieldPath, report: Report): void {
  if (raw.mode === "SIMPLE") reportMissing(raw, ["serverCertificate", "privateKey"], path, report);
  else if (raw.mode === "MUTUAL" || raw.mode === "OPTIONAL_MUTUAL") {
    reportMissing(raw, ["serverCertificate", "privateKey", "caCertificates"], path, report);
  } else reportUseless(raw, path, report);
}

function reportUseless(raw: RawServerTls, path: FieldPath, report: Report): void {
  for (const name of namesOfSet(raw, CERTIFICATES)) {
    if (raw.mode === "ISTIO_MUTUAL") {
      const message = `${name} cannot be set with ISTIO_MUTUAL, which brings its own certificates.`;
      report.error("conflicting-fields", [...path, name], message);
    } else {
      const message = `The mode ${raw.mode ?? "PASSTHROUGH"} does not end TLS, so ${name} has no effect; set mode: SIMPLE to end it.`;
      report.warning("ignored-field", [...path, name], message);
    }
  }
}

function reportMissing(
  raw: RawServerTls,
  names: readonly ("serverCertificate" | "privateKey" | "caCertificates")[],
  path: FieldPath,
  report: Report,
): void {
  if (nonEmpty(raw.credentialName) !== undefined) {
    for (const name of namesOfSet(raw, CERTIFICATES.slice(0, 3))) {
      report.error("conflicting-fields", [...path, name], `credentialName and ${name} exclude each other; keep one.`);
    }
    return;
  }
  for (const name of names) {
    if (nonEmpty(raw[name]) !== undefined) continue;
    report.error("missing-field", [...path, name], `${raw.mode} needs ${name}, or a credentialName.`);
  }
}

function reportVersions(raw: RawServerTls, path: FieldPath, report: Report): void {
  const [least, most] = [versionOf(raw.minProtocolVersion), versionOf(raw.maxProtocolVersion)];
  if (least !== undefined && most !== undefined && least > most) {
    const message = `${most} is below the minProtocolVersion ${least}.`;
    report.error("conflicting-fields", [...path, "maxProtocolVersion"], message);
  }
}

function versionOf(raw: RawServerTls["minProtocolVersion"]): ServerTlsSettings["minProtocolVersion"] {
  return raw === "TLS_AUTO" ? undefined : optional(raw);
}
