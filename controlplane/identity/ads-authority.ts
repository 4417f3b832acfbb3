// The authority of ADS' certificates on a cluster: made by Headgate itself, and kept in a Secret that all replicas share.
import { type Authority, createAuthority, restoreAuthority } from "../certificates/authority.js";
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeName, type KubeObject } from "../kube/object.js";

const SECRETS = { group: "", version: "v1", plural: "secrets" };
/** A type of its own, so that it is not taken for a certificate of gateways. */
const SECRET_TYPE = "headgate.dev/ads-authority";
/** Pods keep the authority that they were made with, so it has to outlive them. */
const VALID_DAYS = 3_650;

/**
 * Reads the Secret, or makes it; replicas that do so at once agree on the one whose write came first. What it holds is
 * never replaced, since every proxy trusts it. Rejects with the API server's fault, and when the Secret holds no authority.
 */
export async function shareAuthority(client: KubeClient, secret: Required<KubeName>): Promise<Authority> {
  const found = await client.get(SECRETS, secret);
  if (found !== undefined) return readAuthority(found, secret);
  const authority = await createAuthority("headgate-ads", { days: VALID_DAYS });
  const { certificate, privateKey } = await authority.export();
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    type: SECRET_TYPE,
    metadata: secret,
    stringData: { "ca.crt": certificate, "ca.key": privateKey },
  };
  try {
    await client.create(SECRETS, object, secret.namespace);
    return authority;
  } catch (error) {
    if (!(error instanceof KubeFault && error.status === 409)) throw error;
    return shareAuthority(client, secret);
  }
}

async function readAuthority({ data }: KubeObject, { namespace, name }: KubeName): Promise<Authority> {
  const text = (key: string) =>
    Buffer.from((data as Readonly<Record<string, string>>)?.[key] ?? "", "base64").toString("utf8");
  try {
    return await restoreAuthority({ certificate: text("ca.crt"), privateKey: text("ca.key") });
  } catch {
    throw new Error(`the Secret ${namespace}/${name} holds no authority in ca.crt and ca.key: mend it, or delete it`);
  }
}
