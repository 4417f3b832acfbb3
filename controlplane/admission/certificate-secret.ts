// The webhook's certificate: made by Headgate itself, kept in a Secret that all replicas share, and renewed in time.
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createAuthority } from "../certificates/authority.js";
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeObject } from "../kube/object.js";

export interface SharedCertificateOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Secret. */
  readonly name: string;
  /** DNS names and addresses under which the API server reaches the webhook. */
  readonly names: readonly [string, ...string[]];
}

/** PEM. */
export interface SharedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
  /** The authority of the certificate, and those of earlier ones that some replica may still show. */
  readonly authorities: string;
}

const SECRETS = { group: "", version: "v1", plural: "secrets" };
/** A type of its own, so that it is not taken for a certificate of gateways. */
const SECRET_TYPE = "headgate.dev/webhook-certificate";
const VALID_DAYS = 90;
/** Renewed when fewer milliseconds than this are left. */
const RENEWAL_MS = 30 * 86_400_000;
const TRIES = 5;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads the Secret, and makes or replaces it where the certificate is absent, broken, for other names, or soon to expire.
 * Replicas that do so at once agree on the one whose write came first. Each certificate has an authority of its own, whose
 * key is kept nowhere. Rejects with the API server's fault.
 */
export async function shareCertificate(options: SharedCertificateOptions): Promise<SharedCertificate> {
  const { client, namespace, name, names } = options;
  for (let attempt = 1; ; attempt++) {
    const secret = await client.get(SECRETS, { namespace, name });
    const known = secret === undefined ? undefined : readSecret(secret);
    if (known !== undefined && isGood(known, names)) return known;
    const made = await makeCertificate(names, known?.authorities ?? "");
    const object = secretOf(made, { name, namespace }, secret);
    try {
      if (secret === undefined) await client.create(SECRETS, object, namespace);
      else await client.replace(SECRETS, { namespace, name }, object);
      return made;
    } catch (error) {
      if (!(error instanceof KubeFault && error.status === 409) || attempt === TRIES) throw error;
    }
  }
}

async function makeCertificate(names: readonly [string, ...string[]], earlier: string): Promise<SharedCertificate> {
  const authority = await createAuthority("headgate-webhook", { days: VALID_DAYS });
  const { certificate, privateKey } = await authority.issue(names, { days: VALID_DAYS });
  const valid = parse(earlier).filter((each) => Date.parse(each.validTo) > Date.now());
  const authorities = [authority.certificate.trim(), ...valid.map((each) => each.toString().trim())];
  return { certificate, privateKey, authorities: `${authorities.join("\n")}\n` };
}

function isGood({ certificate, privateKey, authorities }: SharedCertificate, names: readonly string[]): boolean {
  const [own] = parse(certificate);
  const isIssued = own !== undefined && parse(authorities).some((each) => own.checkIssued(each));
  if (!isIssued || !privateKey.includes("PRIVATE KEY")) return false;
  const isNamed = names.every((name) => (isIP(name) ? own.checkIP(name) : own.checkHost(name)) !== undefined);
  return isNamed && Date.parse(own.validTo) - Date.now() > RENEWAL_MS;
}

function parse(pem: string): readonly X509Certificate[] {
  try {
    return (pem.match(PEM) ?? []).map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

function readSecret(secret: KubeObject): SharedCertificate {
  const data = (secret.data ?? {}) as Readonly<Record<string, string>>;
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  return { certificate: text("tls.crt"), privateKey: text("tls.key"), authorities: text("ca.crt") };
}

function secretOf(
  { certificate, privateKey, authorities }: SharedCertificate,
  name: { readonly name: string; readonly namespace: string },
  before: KubeObject | undefined,
): object {
  const resourceVersion = before?.metadata.resourceVersion;
  return {
    apiVersion: "v1",
    kind: "Secret",
    // A Secret's type can never change.
    type: before?.type ?? SECRET_TYPE,
    metadata: { ...before?.metadata, ...name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    stringData: { "tls.crt": certificate, "tls.key": privateKey, "ca.crt": authorities },
  };
}
