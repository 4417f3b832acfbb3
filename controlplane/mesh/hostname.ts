// Host names as Istio reads them: short names, wildcards, and which of two is the more specific.

/** The suffix of a Kubernetes service's full name: name.namespace.svc.cluster.local. */
export const CLUSTER_DOMAIN = "cluster.local";

/** The full name of a Kubernetes service. */
export function serviceHostname(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
}

/**
 * A host as written in a resource -> a full name. A name without dots is a Kubernetes service of the resource's own
 * namespace, as Istio's documentation says; everything else, wildcards and addresses among it, stands for itself.
 */
export function fullHostname(host: string, namespace: string): string {
  const lower = host.toLowerCase();
  return lower.includes(".") || lower.includes(":") || lower.startsWith("*")
    ? lower
    : serviceHostname(lower, namespace);
}

export function isWildcard(host: string): boolean {
  return host.startsWith("*");
}

/** Whether every name that `inner` stands for is among those of `outer`; either may be a wildcard. */
export function hostCovers(outer: string, inner: string): boolean {
  if (outer === "*" || outer === inner) return true;
  if (!isWildcard(outer)) return false;
  const suffix = outer.slice(1);
  const name = isWildcard(inner) ? inner.slice(1) : inner;
  return name.length >= suffix.length && name.endsWith(suffix) && (isWildcard(inner) || name.length > suffix.length);
}

/** The names that both stand for: the narrower of the two, or undefined when there are none. */
export function hostIntersection(a: string, b: string): string | undefined {
  if (hostCovers(a, b)) return b;
  return hostCovers(b, a) ? a : undefined;
}

/** Orders hosts from the most specific: exact names before wildcards, longer wildcards before shorter, then by name. */
export function compareSpecificity(a: string, b: string): number {
  if (isWildcard(a) !== isWildcard(b)) return isWildcard(a) ? 1 : -1;
  if (isWildcard(a) && a.length !== b.length) return b.length - a.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
