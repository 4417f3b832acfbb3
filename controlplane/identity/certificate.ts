// A client certificate that TLS has verified -> the identity that it carries.
import { X509Certificate } from "node:crypto";
import { type Identity, parseSpiffeId } from "./spiffe.js";

/**
 * The SPIFFE standard's X.509-SVID: exactly one URI among the alternative names. Takes DER. The error says nothing of
 * the certificate but its names.
 */
export function identityOfCertificate(
  der: Uint8Array,
  trustDomain: string,
): { readonly identity: Identity } | { readonly error: string } {
  const uris = uriNames(new X509Certificate(der).subjectAltName ?? "");
  const form = `spiffe://${trustDomain}/ns/NAMESPACE/sa/SERVICE-ACCOUNT`;
  if (uris === undefined) return { error: "the client certificate's alternative names cannot be read" };
  if (uris.length !== 1) return { error: `the client certificate has ${uris.length} URI names, not one as ${form}` };
  const identity = parseSpiffeId(uris[0] as string, trustDomain);
  return identity ? { identity } : { error: `the client certificate's URI name is not of the form ${form}` };
}

/** Node puts names that could be mistaken for several into JSON quotes; such a one is no SPIFFE ID, but it counts. */
const ENTRY = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

function uriNames(subjectAltName: string): string[] | undefined {
  const uris: string[] = [];
  ENTRY.lastIndex = 0;
  let read = 0;
  while (read < subjectAltName.length) {
    const entry = ENTRY.exec(subjectAltName);
    if (!entry) return undefined;
    read = ENTRY.lastIndex;
    if (entry[1] === "URI") uris.push(entry[2] as string);
  }
  return uris;
}
