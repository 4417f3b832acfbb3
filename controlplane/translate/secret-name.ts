// Secret names on the wire, as Istio gives them.

/** The certificate and key of a credentialName. */
export function secretName(credentialName: string): string {
  return `kubernetes://${credentialName}`;
}

/** The certificate authority that a credentialName carries for verifying the other side. */
export function caSecretName(credentialName: string): string {
  return `kubernetes://${credentialName}-cacert`;
}
