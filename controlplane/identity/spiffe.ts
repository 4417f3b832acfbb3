// Who a workload is, proved: the namespace and service account of a SPIFFE identity.

export interface Identity {
  readonly namespace: string;
  readonly serviceAccount: string;
}

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SERVICE_ACCOUNT = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

/** The identity of namespace and service account names as Kubernetes allows them; undefined for any others. */
export function identityOf(namespace: string, serviceAccount: string): Identity | undefined {
  if (!NAMESPACE.test(namespace) || !SERVICE_ACCOUNT.test(serviceAccount)) return undefined;
  return Object.freeze({ namespace, serviceAccount });
}

/** Reads spiffe://<trust domain>/ns/<namespace>/sa/<service account>; undefined for anything else. */
export function parseSpiffeId(uri: string, trustDomain: string): Identity | undefined {
  const prefix = `spiffe://${trustDomain}/ns/`;
  if (!uri.startsWith(prefix)) return undefined;
  const [namespace = "", sa, serviceAccount = "", ...rest] = uri.slice(prefix.length).split("/");
  return sa === "sa" && rest.length === 0 ? identityOf(namespace, serviceAccount) : undefined;
}
