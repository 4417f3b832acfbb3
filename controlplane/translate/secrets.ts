// Kubernetes Secrets -> the secrets that a proxy's TLS settings name. A proxy gets those of its own namespace alone.
import { create } from "@bufbuild/protobuf";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { ClientTlsSettings } from "../resources/destination-rule.js";
import type { ServerTlsSettings } from "../resources/gateway.js";
import type { Secret } from "../resources/kubernetes.js";
import type { Context } from "./context.js";
import { type EnvoyResource, encodeResource } from "./resource.js";
import { caSecretName, secretName } from "./secret-name.js";

/** The certificate, key and authority of a secret, under the keys of either of the two usual layouts. */
export interface Credential {
  readonly certificate?: Uint8Array;
  readonly key?: Uint8Array;
  readonly authority?: Uint8Array;
  readonly revocations?: Uint8Array;
}

/** The secrets that a credential is read from: its own, and the one ending in -cacert that may hold the authority alone. */
export function secretsOf(
  credentialName: string,
  { mesh, proxy }: Context,
): readonly [own: Secret | undefined, authority: Secret | undefined] {
  const find = (name: string) => mesh.secrets.get(`${proxy.namespace}/${name}`);
  return [find(credentialName), find(`${credentialName}-cacert`)];
}

/** Undefined when the proxy's namespace has no such secret. */
function findCredential(credentialName: string, context: Context): Credential | undefined {
  const [secret, authority] = secretsOf(credentialName, context);
  if (!secret && !authority) return undefined;
  return { ...(secret ? read(secret) : {}), ...(authority ? authorityOf(authority) : {}) };
}

function read(secret: Secret): Credential {
  const { data } = secret.spec;
  const certificate = data.get("tls.crt") ?? data.get("cert");
  const key = data.get("tls.key") ?? data.get("key");
  return { ...(certificate && key ? { certificate, key } : {}), ...authorityOf(secret) };
}

function authorityOf(secret: Secret): Credential {
  const authority = secret.spec.data.get("ca.crt") ?? secret.spec.data.get("cacert");
  const revocations = secret.spec.data.get("ca.crl") ?? secret.spec.data.get("crl");
  return { ...(authority ? { authority } : {}), ...(revocations ? { revocations } : {}) };
}

/** The resources of these credentialNames, as far as the secrets are there and hold them. */
export function secretResources(credentialNames: Iterable<string>, context: Context): EnvoyResource[] {
  return [...new Set(credentialNames)].sort().flatMap((name) => {
    const credential = findCredential(name, context);
    return credential ? credentialResources(name, credential) : [];
  });
}

function credentialResources(credentialName: string, credential: Credential): EnvoyResource[] {
  const resources: EnvoyResource[] = [];
  const inline = (bytes: Uint8Array) => ({ specifier: { case: "inlineBytes" as const, value: bytes } });
  if (credential.certificate && credential.key) {
    const name = secretName(credentialName);
    const value = { certificateChain: inline(credential.certificate), privateKey: inline(credential.key) };
    const secret = create(SecretSchema, { name, type: { case: "tlsCertificate", value } });
    resources.push(encodeResource(SecretSchema, name, secret));
  }
  if (credential.authority) {
    const name = caSecretName(credentialName);
    const value = {
      trustedCa: inline(credential.authority),
      ...(credential.revocations ? { crl: inline(credential.revocations) } : {}),
    };
    const secret = create(SecretSchema, { name, type: { case: "validationContext", value } });
    resources.push(encodeResource(SecretSchema, name, secret));
  }
  return resources;
}

/** Whether the credential that TLS settings name, if they name one, holds what their mode needs. */
export function credentialIsComplete(
  tls: Pick<ClientTlsSettings | ServerTlsSettings, "mode" | "credentialName"> | undefined,
  side: "client" | "server",
  context: Context,
): boolean {
  if (!tls?.credentialName) return true;
  const credential = findCredential(tls.credentialName, context);
  const needsCertificate = side === "server" || tls.mode === "MUTUAL";
  const needsAuthority = side === "client" || tls.mode !== "SIMPLE";
  return (
    (!needsCertificate || credential?.certificate !== undefined) &&
    (!needsAuthority || credential?.authority !== undefined)
  );
}
