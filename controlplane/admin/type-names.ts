// The resource types of xDS by the names that people use: the last part of the type URL, and "cds" and its kin.

const TYPES = [
  ["cds", "envoy.config.cluster.v3.Cluster"],
  ["eds", "envoy.config.endpoint.v3.ClusterLoadAssignment"],
  ["lds", "envoy.config.listener.v3.Listener"],
  ["rds", "envoy.config.route.v3.RouteConfiguration"],
  ["vhds", "envoy.config.route.v3.VirtualHost"],
  ["sds", "envoy.extensions.transport_sockets.tls.v3.Secret"],
  ["ecds", "envoy.config.core.v3.TypedExtensionConfig"],
] as const;

const PREFIX = "type.googleapis.com/";

/** What people may write for a type, with its type URL, in the order in which types are shown. */
export const TYPE_URLS: ReadonlyMap<string, string> = new Map(
  TYPES.map(([short, name]) => [short, `${PREFIX}${name}`] as const),
);

const shortTypes = new Map(TYPES.map(([, name]) => [`${PREFIX}${name}`, name.slice(name.lastIndexOf(".") + 1)]));

/** "Cluster" and its kin; "other" for a type that Headgate does not serve, so that clients cannot invent any. */
export function shortType(typeUrl: string): string {
  return shortTypes.get(typeUrl) ?? "other";
}

/** The type URL that is meant by "cds", "Cluster", either in any case, or by the type URL itself. */
export function findTypeUrl(text: string): string | undefined {
  const wanted = text.toLowerCase();
  for (const [short, typeUrl] of TYPE_URLS) {
    if ([short, shortType(typeUrl).toLowerCase(), typeUrl.toLowerCase()].includes(wanted)) return typeUrl;
  }
  return undefined;
}
