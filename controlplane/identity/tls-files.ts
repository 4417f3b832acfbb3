// The control plane's certificate, its key and the authority of its clients, read from PEM files and checked together.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { AdsTls } from "../xds/credentials.js";
import type { Read } from "./followed-files.js";

/** Paths. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa?: string;
}

export interface TlsMaterial extends AdsTls {
  /** Of the server's own certificate: milliseconds since the epoch. */
  readonly expiresAt: number;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The error names the file and says nothing of what is in it. */
export async function readTlsFiles(files: TlsFiles): Promise<Read<TlsMaterial>> {
  const paths = [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
  const contents: Buffer[] = [];
  for (const path of paths) {
    try {
      contents.push(await readFile(path));
    } catch (error) {
      return { error: `${path} cannot be read (${(error as NodeJS.ErrnoException).code})` };
    }
  }
  const [certificate, key, clientCa] = contents as [Buffer, Buffer, Buffer?];
  const own = parseCertificates(certificate)?.[0];
  if (!own) return { error: `${files.certificate} has no certificate in PEM form` };
  try {
    if (!own.checkPrivateKey(createPrivateKey(key))) {
      return { error: `${files.key} is not the key of the first certificate in ${files.certificate}` };
    }
  } catch {
    return { error: `${files.key} is no private key in PEM form without a passphrase` };
  }
  if (clientCa && !parseCertificates(clientCa)) return { error: `${files.clientCa} has no certificates in PEM form` };
  const expiresAt = Date.parse(own.validTo);
  return { value: Object.freeze({ certificate, key, ...(clientCa ? { clientCa } : {}), expiresAt }) };
}

function parseCertificates(pem: Buffer): X509Certificate[] | undefined {
  const blocks = pem.toString("latin1").match(CERTIFICATE);
  if (!blocks) return undefined;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}
