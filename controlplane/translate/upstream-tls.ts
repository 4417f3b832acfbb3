// TLS towards a destination, as its DestinationRule asks for it.
import { create } from "@bufbuild/protobuf";
import { type TransportSocket, TransportSocketSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { CertificateFiles } from "../proxy/proxy.js";
import type { ClientTlsSettings } from "../resources/destination-rule.js";
import { pack } from "./resource.js";
import { caSecretName, secretName } from "./secret-name.js";
import {
  certificateFiles,
  file,
  secretByAds,
  setOwnCertificate,
  setSecretValidation,
  validationOf,
} from "./tls-context.js";

/** Where Debian, Alpine and their kin keep the certificate authorities that everyone trusts. */
const SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Undefined where the traffic stays in the clear. The server's certificate is verified, against the system's authorities
 * and the destination's own name where the rule names no others, unless the rule says insecureSkipVerify.
 */
export function upstreamTls(
  tls: ClientTlsSettings | undefined,
  hostname: string,
  subjectAltNames: readonly string[],
  alpn: readonly string[],
  own: CertificateFiles,
): TransportSocket | undefined {
  if (!tls || tls.mode === "DISABLE") return undefined;
  const sni = tls.sni ?? (hostname.startsWith("*") ? "" : hostname);
  const named = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : subjectAltNames;
  const names = named.length > 0 || sni === "" ? named : [sni];
  const commonTlsContext = create(CommonTlsContextSchema, { alpnProtocols: [...alpn] });
  if (tls.mode === "ISTIO_MUTUAL") {
    setOwnCertificate(commonTlsContext, own, named);
  } else {
    setCertificate(commonTlsContext, tls);
    if (!tls.insecureSkipVerify) setValidation(commonTlsContext, tls, names);
  }
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: {
      case: "typedConfig",
      value: pack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { sni, commonTlsContext })),
    },
  });
}

/** Whether each request's own host is what to ask the server for: its service has a wildcard, and the rule no name. */
export function asksByHostHeader(tls: ClientTlsSettings | undefined, hostname: string): boolean {
  return (tls?.mode === "SIMPLE" || tls?.mode === "MUTUAL") && tls.sni === undefined && hostname.startsWith("*");
}

function setCertificate(context: CommonTlsContext, tls: ClientTlsSettings): void {
  if (tls.clientCertificate && tls.privateKey) {
    context.tlsCertificates = [certificateFiles(tls.clientCertificate, tls.privateKey)];
  } else if (tls.credentialName && tls.mode === "MUTUAL") {
    context.tlsCertificateSdsSecretConfigs = [secretByAds(secretName(tls.credentialName))];
  }
}

function setValidation(context: CommonTlsContext, tls: ClientTlsSettings, names: readonly string[]): void {
  const validation = validationOf(names);
  if (tls.credentialName) {
    setSecretValidation(context, validation, caSecretName(tls.credentialName));
    return;
  }
  validation.trustedCa = file(tls.caCertificates ?? SYSTEM_ROOTS);
  if (tls.caCrl) validation.crl = file(tls.caCrl);
  context.validationContextType = { case: "validationContext", value: validation };
}
