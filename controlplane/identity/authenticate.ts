// Decides whether a client may be the proxy that it says it is.
import type { Proxy } from "../proxy/proxy.js";
import { identityOfCertificate } from "./certificate.js";
import { type ProvenPod, podFault } from "./proven-pod.js";
import type { Identity } from "./spiffe.js";
import type { TokenVerifier } from "./token.js";

/** What a client showed. */
export interface Presented {
  /** DER, verified by TLS against the clients' authority. */
  readonly certificate?: Uint8Array;
  /** The values of the request's authorization metadata. */
  readonly authorization: readonly string[];
}

/** The ways to prove an identity that are open; where none is, none is asked for. */
export interface Ways {
  readonly trustDomain: string;
  readonly certificates: boolean;
  /** Asked anew for each client. */
  readonly tokens?: () => TokenVerifier;
}

/** Everyone is who they say they are. */
export const TRUSTING: Ways = { trustDomain: "", certificates: false };

export interface Refusal {
  readonly code: "UNAUTHENTICATED" | "PERMISSION_DENIED";
  /** For the client and the log; has nothing secret. */
  readonly message: string;
}

/** What a client claims to be. */
export type Claimed = Pick<Proxy, "namespace" | "serviceAccount" | "name" | "addresses">;

/** The pod that the client is, where its proof says so. */
export type Authenticated = { readonly refusal: Refusal } | { readonly refusal?: never; readonly pod?: ProvenPod };

/** Whether the client may be the claimed one. One proof suffices; of several that are shown, each must hold. */
export async function authenticate(presented: Presented, claimed: Claimed, ways: Ways): Promise<Authenticated> {
  const proofs = await readProofs(presented, ways);
  if (proofs.length === 0) return ways.certificates || ways.tokens ? unauthenticated(missing(ways)) : {};
  for (const proof of proofs) {
    if ("error" in proof) return unauthenticated(proof.error);
    const { namespace, serviceAccount } = proof.identity;
    if (namespace !== claimed.namespace || serviceAccount !== claimed.serviceAccount) {
      const message = `the node says ${words(claimed)}, but ${proof.by} is that of ${words(proof.identity)}`;
      return { refusal: { code: "PERMISSION_DENIED", message } };
    }
    const fault = proof.pod && podFault(proof.pod, claimed);
    if (fault !== undefined) return { refusal: { code: "PERMISSION_DENIED", message: fault } };
  }
  const pod = proofs.map((proof) => ("pod" in proof ? proof.pod : undefined)).find((each) => each !== undefined);
  return pod ? { pod } : {};
}

type Proof =
  | { readonly identity: Identity; readonly by: string; readonly pod?: ProvenPod }
  | { readonly error: string };

async function readProofs({ certificate, authorization }: Presented, ways: Ways): Promise<Proof[]> {
  const proofs: Proof[] = [];
  if (ways.certificates && certificate) {
    const read = identityOfCertificate(certificate, ways.trustDomain);
    proofs.push("error" in read ? read : { ...read, by: "its certificate" });
  }
  if (ways.tokens && authorization.length > 0) {
    const token = /^bearer +([^ ]+) *$/i.exec(authorization[0] ?? "")?.[1];
    if (authorization.length > 1 || token === undefined) {
      proofs.push({ error: "the authorization metadata is not one value of the form Bearer TOKEN" });
    } else {
      const read = await ways.tokens()(token);
      proofs.push("error" in read ? read : { ...read, by: "its token" });
    }
  }
  return proofs;
}

function missing({ certificates, tokens }: Ways): string {
  if (certificates && tokens) return "show a client certificate of this trust domain, or a bearer token";
  return certificates ? "show a client certificate of this trust domain" : "show a bearer token";
}

function unauthenticated(message: string): Authenticated {
  return { refusal: { code: "UNAUTHENTICATED", message } };
}

function words({ namespace, serviceAccount }: Identity): string {
  return `service account ${serviceAccount} of namespace ${namespace}`;
}
