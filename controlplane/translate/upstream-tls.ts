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
import { clientFiles } from "./file-secrets.js";
import { pack } from "./resource.js";
import { caSecretName, secretName } from "./secret-name.js";
import { secretByAds, setFiles, setSecretValidation, validationOf } from "./tls-context.js";

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
  if (tls.credentialName && tls.mode !== "ISTIO_MUTUAL") setCredential(commonTlsContext, tls, names);
  const verified = tls.mode === "ISTIO_MUTUAL" ? named : names;
  setFiles(commonTlsContext, clientFiles(tls, own), validationOf(verified));
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

function setCredential(context: CommonTlsContext, tls: ClientTlsSettings, names: readonly string[]): void {
  const credential = tls.credentialName ?? "";
  if (tls.mode === "MUTUAL") context.tlsCertificateSdsSecretConfigs = [secretByAds(secretName(credential))];
  if (!tls.insecureSkipVerify) setSecretValidation(context, validationOf(names), caSecretName(credential));
}
