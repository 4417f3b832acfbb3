// Who sees what: exportTo, and the namespace/host patterns of Sidecar egress and Gateway servers.
import { fullHostname, hostCovers } from "./hostname.js";

/** Whether an object of `owner`, exported to the given namespaces, is seen from `viewer`. Empty means everyone. */
export function isExported(exportTo: readonly string[], owner: string, viewer: string): boolean {
  if (exportTo.length === 0) return true;
  return exportTo.some((entry) => entry === "*" || entry === viewer || (entry === "." && owner === viewer));
}

/** "namespace/host" as written, read from a given namespace. */
export interface HostPattern {
  /** "*" for every namespace; undefined where the pattern selects nothing ("~"). */
  readonly namespace: string | undefined;
  readonly host: string;
}

export function parseHostPattern(pattern: string, ownNamespace: string): HostPattern {
  const slash = pattern.indexOf("/");
  const namespace = slash < 0 ? "*" : pattern.slice(0, slash);
  const host = slash < 0 ? pattern : pattern.slice(slash + 1);
  const owner = namespace === "." ? ownNamespace : namespace;
  return {
    namespace: namespace === "~" ? undefined : owner,
    host: fullHostname(host, owner === "*" ? ownNamespace : owner),
  };
}

export function namespaceMatches(pattern: HostPattern, namespace: string): boolean {
  return pattern.namespace === "*" || pattern.namespace === namespace;
}

/** Whether a service or virtual service of this namespace and host is among what the patterns select. */
export function anyPatternCovers(patterns: readonly HostPattern[], namespace: string, host: string): boolean {
  return patterns.some((pattern) => namespaceMatches(pattern, namespace) && hostCovers(pattern.host, host));
}
