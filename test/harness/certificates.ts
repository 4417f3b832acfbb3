// Certificates for tests, and their files where Envoy or Node wants files.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KeyedCertificate } from "../../controlplane/certificates/authority.js";
import type { Scope } from "./scope.js";

export { type Authority, createAuthority, type KeyedCertificate } from "../../controlplane/certificates/authority.js";

/** Writes a certificate and its key into a directory of the scope. */
export async function certificateFiles(
  scope: Scope,
  { certificate, privateKey }: KeyedCertificate,
): Promise<{ readonly certificate: string; readonly privateKey: string }> {
  const directory = await scope.directory();
  const files = { certificate: join(directory, "cert.pem"), privateKey: join(directory, "key.pem") };
  await writeFile(files.certificate, certificate);
  await writeFile(files.privateKey, privateKey, { mode: 0o600 });
  return files;
}
