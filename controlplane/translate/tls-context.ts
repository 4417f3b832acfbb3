// Pieces that TLS towards clients and towards destinations have in common.
import { create } from "@bufbuild/protobuf";
import { type DataSource, DataSourceSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType,
  type TlsCertificate,
  TlsCertificateSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContextSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { CertificateFiles } from "../proxy/proxy.js";
import { adsSource } from "./values.js";

/** A file on the proxy's own machine. */
export function file(filename: string): DataSource {
  return create(DataSourceSchema, { specifier: { case: "filename", value: filename } });
}

/** The workload's own certificate, and the authority that it verifies the other side by. */
export function setOwnCertificate(
  context: CommonTlsContext,
  files: CertificateFiles,
  subjectAltNames: readonly string[],
): void {
  context.tlsCertificates = [certificateFiles(files.chain, files.key)];
  const validation = validationOf(subjectAltNames);
  validation.trustedCa = file(files.root);
  context.validationContextType = { case: "validationContext", value: validation };
}

export function certificateFiles(certificateChain: string, privateKey: string): TlsCertificate {
  return create(TlsCertificateSchema, { certificateChain: file(certificateChain), privateKey: file(privateKey) });
}

/** A secret that travels over the aggregated stream. */
export function secretByAds(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: adsSource() });
}

/** The other side's certificate must carry one of the names, if any are given; URIs are told by their "://". */
export function validationOf(subjectAltNames: readonly string[]): CertificateValidationContext {
  return create(CertificateValidationContextSchema, {
    matchTypedSubjectAltNames: subjectAltNames.map((name) => ({
      sanType: name.includes("://") ? SubjectAltNameMatcher_SanType.URI : SubjectAltNameMatcher_SanType.DNS,
      matcher: { matchPattern: { case: "exact" as const, value: name } },
    })),
  });
}

/** Verifies by `validation`, against the authority in a secret. */
export function setSecretValidation(
  context: CommonTlsContext,
  validation: CertificateValidationContext,
  secret: string,
): void {
  context.validationContextType = {
    case: "combinedValidationContext",
    value: create(CommonTlsContext_CombinedCertificateValidationContextSchema, {
      defaultValidationContext: validation,
      validationContextSdsSecretConfig: secretByAds(secret),
    }),
  };
}
