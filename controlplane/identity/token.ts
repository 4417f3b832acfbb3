// A bearer token (a JWT) -> the identity that it carries, by public keys alone.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { ProvenPod } from "./proven-pod.js";
import { type Identity, identityOf, parseSpiffeId } from "./spiffe.js";

/** The pod is known where the verifier asks the cluster. */
export type TokenVerifier = (
  token: string,
) => Promise<{ readonly identity: Identity; readonly pod?: ProvenPod } | { readonly error: string }>;

/** Public-key signatures only: with a shared secret, whoever can check a token could make one. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
export const MAX_TOKEN_LENGTH = 8_192;
const CLOCK_TOLERANCE_SECONDS = 30;
const KUBERNETES_SUBJECT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/**
 * Takes the text of a JSON Web Key Set. Tokens must be signed by one of its keys, be meant for the audience, not have
 * expired, and have as their subject a service account, either as Kubernetes writes it or as a SPIFFE ID.
 */
export function createTokenVerifier(
  jwks: string,
  audience: string,
  trustDomain: string,
): { readonly value: TokenVerifier } | { readonly error: string } {
  const keys = readKeys(jwks);
  if ("error" in keys) return keys;
  return {
    value: async (token) => {
      if (token.length > MAX_TOKEN_LENGTH) return { error: `the token is longer than ${MAX_TOKEN_LENGTH} characters` };
      try {
        const { payload } = await jwtVerify(token, keys.value, {
          algorithms: ALGORITHMS,
          audience,
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          requiredClaims: ["exp", "sub"],
        });
        const identity = identityOfSubject(payload.sub ?? "", trustDomain);
        return identity ? { identity } : { error: "the token's subject is no service account of this trust domain" };
      } catch (error) {
        return { error: reasonOf(error) };
      }
    },
  };
}

function readKeys(jwks: string): { readonly value: JWTVerifyGetKey } | { readonly error: string } {
  try {
    const parsed = JSON.parse(jwks) as JSONWebKeySet;
    const keys = createLocalJWKSet(parsed);
    if (parsed.keys.length === 0) return { error: "the key set has no keys" };
    if (parsed.keys.some((key) => key.kty === "oct" || "d" in key)) {
      return { error: "the key set has secret keys: give public ones only" };
    }
    return { value: keys };
  } catch {
    return { error: "this is no JSON Web Key Set" };
  }
}

function identityOfSubject(subject: string, trustDomain: string): Identity | undefined {
  const [, namespace, serviceAccount] = KUBERNETES_SUBJECT.exec(subject) ?? [];
  if (namespace !== undefined && serviceAccount !== undefined) return identityOf(namespace, serviceAccount);
  return parseSpiffeId(subject, trustDomain);
}

/** In our own words, so that nothing of the token can get into them. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) return `the token's claim ${error.claim} does not hold`;
  if (error instanceof errors.JWKSNoMatchingKey) return "the token is signed by none of the known keys";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "the token does not say which of several keys signed it";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the token's signature does not hold";
  if (error instanceof errors.JOSEError) return "the token is malformed, or its algorithm is not taken";
  return "the token cannot be verified";
}
