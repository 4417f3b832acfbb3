// Certificates made on the spot, for webhooks, ADS, the demo and tests: an authority, and what it issues.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

/** A certificate and its private key, in PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Authority {
  /** The authority's own certificate, in PEM: what a client trusts. */
  readonly certificate: string;
  /**
   * Issues a certificate for server and client use, valid from yesterday for the given days (negative: long expired).
   * names are DNS names, wildcards, IP addresses or URIs; the first one is the common name too.
   */
  issue(names: readonly [string, ...string[]], options?: { readonly days?: number }): Promise<KeyedCertificate>;
  /** What restoreAuthority takes; until it is asked for, the key is in the process's memory alone. */
  export(): Promise<KeyedCertificate>;
}

/** Makes an authority, valid from yesterday for the given days. */
export async function createAuthority(name: string, { days = 30 } = {}): Promise<Authority> {
  const keys = await newKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(days),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return authorityOf(root, keys.privateKey);
}

/** The authority that was exported. Rejects with what is no certificate and key of one. */
export async function restoreAuthority({ certificate, privateKey }: KeyedCertificate): Promise<Authority> {
  const root = new x509.X509Certificate(certificate);
  const pkcs8 = x509.PemConverter.decodeFirst(privateKey);
  const key = await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]);
  return authorityOf(root, key);
}

function authorityOf(root: x509.X509Certificate, signingKey: webcrypto.CryptoKey): Authority {
  const certificate = root.toString("pem");
  return {
    certificate,
    async issue(names, { days = 30 } = {}) {
      const own = await newKeys();
      const issued = await x509.X509CertificateGenerator.create({
        subject: `CN=${names[0]}`,
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey,
        signingAlgorithm: ALGORITHM,
        ...validity(days),
        extensions: [
          new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: nameType(value), value }))),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
        ],
      });
      return { certificate: issued.toString("pem"), privateKey: await pemOf(own.privateKey) };
    },
    export: async () => ({ certificate, privateKey: await pemOf(signingKey) }),
  };
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)), "PRIVATE KEY");
}

function newKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function validity(days: number) {
  const start = Date.now() - DAY_MS;
  return days < 0
    ? { notBefore: new Date(start - 2 * DAY_MS), notAfter: new Date(start - DAY_MS) }
    : { notBefore: new Date(start), notAfter: new Date(start + (days + 1) * DAY_MS) };
}

function nameType(name: string): "ip" | "url" | "dns" {
  if (isIP(name)) return "ip";
  return name.includes("://") ? "url" : "dns";
}
