// A Gateway server's tls -> how its listener terminates TLS.
import { create } from "@bufbuild/protobuf";
import { type TransportSocket, TransportSocketSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import {
  type TlsParameters,
  TlsParametersSchema,
  TlsParameters_TlsProtocol as Version,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { CertificateFiles } from "../proxy/proxy.js";
import type { ServerTlsSettings } from "../resources/gateway.js";
import { serverFiles } from "./file-secrets.js";
import { pack } from "./resource.js";
import { caSecretName, secretName } from "./secret-name.js";
import { secretByAds, setFiles, setSecretValidation, validationOf } from "./tls-context.js";

/**
 * `alpn` are the application protocols to offer; empty for plain TCP. `own` is the workload's certificate, which
 * ISTIO_MUTUAL uses in place of one that the server names.
 */
export function downstreamTls(tls: ServerTlsSettings, alpn: readonly string[], own: CertificateFiles): TransportSocket {
  const commonTlsContext = create(CommonTlsContextSchema, {
    alpnProtocols: [...alpn],
    tlsParams: tlsParameters(tls),
  });
  setCertificates(commonTlsContext, tls, own);
  const context = create(DownstreamTlsContextSchema, {
    commonTlsContext,
    requireClientCertificate: tls.mode === "MUTUAL" || tls.mode === "ISTIO_MUTUAL",
  });
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: { case: "typedConfig", value: pack(DownstreamTlsContextSchema, context) },
  });
}

const VERSIONS = {
  TLSV1_0: Version.TLSv1_0,
  TLSV1_1: Version.TLSv1_1,
  TLSV1_2: Version.TLSv1_2,
  TLSV1_3: Version.TLSv1_3,
} as const;

/** TLS 1.2 at least, unless the server asks for less. */
function tlsParameters(tls: ServerTlsSettings): TlsParameters {
  return create(TlsParametersSchema, {
    tlsMinimumProtocolVersion: VERSIONS[tls.minProtocolVersion ?? "TLSV1_2"],
    ...(tls.maxProtocolVersion ? { tlsMaximumProtocolVersion: VERSIONS[tls.maxProtocolVersion] } : {}),
    cipherSuites: [...tls.cipherSuites],
  });
}

function setCertificates(context: CommonTlsContext, tls: ServerTlsSettings, own: CertificateFiles): void {
  const verifies = tls.mode === "MUTUAL" || tls.mode === "OPTIONAL_MUTUAL";
  const validation = validationOf(tls.subjectAltNames);
  if (tls.credentialName && tls.mode !== "ISTIO_MUTUAL") {
    context.tlsCertificateSdsSecretConfigs = [secretByAds(secretName(tls.credentialName))];
    if (verifies) setSecretValidation(context, validation, caSecretName(tls.credentialName));
    return;
  }
  // Without an authority the names alone have to hold.
  if (verifies) context.validationContextType = { case: "validationContext", value: validation };
  setFiles(context, serverFiles(tls, own), validation);
}
