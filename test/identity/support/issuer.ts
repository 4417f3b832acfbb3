// An issuer of bearer tokens for tests: what Kubernetes is to its pods.
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export interface Issuer {
  /** The text of its JSON Web Key Set. */
  readonly keys: string;
  /** A token for a service account, meant for the control plane. */
  token(namespace: string, serviceAccount: string, expires?: string): Promise<string>;
}

export async function createIssuer(name = "issuer"): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: name, alg: "ES256" };
  return {
    keys: JSON.stringify({ keys: [key] }),
    token: (namespace, serviceAccount, expires = "1h") =>
      new SignJWT({ sub: `system:serviceaccount:${namespace}:${serviceAccount}`, aud: "headgate" })
        .setProtectedHeader({ alg: "ES256", kid: name })
        .setExpirationTime(expires)
        .sign(privateKey),
  };
}
