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
  const read = await readAll([files.certificate, files.key]);
  if ("error" in read) return read;
  const [certificate, key] = read.value as [Buffer, Buffer];
  const own = parseCertificates(certificate)?.[0];
  if (!own) return { error: `${files.certificate} has no certificate in PEM form` };
  try {
    if (!own.checkPrivateKey(createPrivateKey(key))) {
      return { error: `${files.key} is not the key of the first certificate in ${files.certificate}` };
    }
  } catch {
    return { error: `${files.key} is no private key in PEM form without a passphrase` };
  }
  const clientCa = files.clientCa === undefined ? undefined : await readClientCa(files.clientCa);
  if (clientCa && "error" in clientCa) return clientCa;
  const expiresAt = Date.parse(own.validTo);
  return { value: Object.freeze({ certificate, key, ...(clientCa ? { clientCa: clientCa.value } : {}), expiresAt }) };
}

/** Certificates of authorities. The error is as with readTlsFiles. */
export async function readClientCa(path: string): Promise<Read<Buffer>> {
  const read = await readAll([path]);
  if ("error" in read) return read;
  const [clientCa] = read.value as [Buffer];
  return parseCertificates(clientCa) ? { value: clientCa } : { error: `${path} has no certificates in PEM form` };
}

async function readAll(paths: readonly string[]): Promise<Read<readonly Buffer[]>> {
  const contents: Buffer[] = [];
  for (const path of paths) {
    try {
      contents.push(await readFile(path));
    } catch (error) {
      return { error: `${path} cannot be read (${(error as NodeJS.ErrnoException).code})` };
    }
  }
  return { value: contents };
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
