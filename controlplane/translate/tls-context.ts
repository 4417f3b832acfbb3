// Pieces that TLS towards clients and towards destinations have in common.
import { create } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContextSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { authorityName, certificateName, type TlsFiles } from "./file-secrets.js";
import { adsSource } from "./values.js";

/** Certificate and authority out of files, as far as there are any; `validation` says what else must hold. */
export function setFiles(context: CommonTlsContext, files: TlsFiles, validation: CertificateValidationContext): void {
  const certificate = certificateName(files);
  if (certificate) context.tlsCertificateSdsSecretConfigs = [secretByAds(certificate)];
  const authority = authorityName(files);
  if (authority) setSecretValidation(context, validation, authority);
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
