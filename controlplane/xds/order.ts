// Which type goes out before which, so that nothing is referred to before it is there or removed while it is in use.
import type { TypeUrl } from "./snapshot.js";

export const CLUSTER: TypeUrl = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const ENDPOINTS: TypeUrl = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
export const LISTENER: TypeUrl = "type.googleapis.com/envoy.config.listener.v3.Listener";
export const ROUTES: TypeUrl = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
export const VIRTUAL_HOST: TypeUrl = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
export const SECRET: TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
export const EXTENSION_CONFIG: TypeUrl = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/** The order of one server's types. A type in neither list goes last and its removals go after all others. */
export interface PushOrder {
  /** Additions and changes: a type waits until all of every type before it is sent and answered. */
  readonly changes: readonly TypeUrl[];
  /**
   * Types that a client asks for in order to warm what it has just been sent. What was asked for goes out, and holds
   * back others, as if the type stood directly behind the named one; plain changes keep their place in `changes`.
   */
  readonly askedBehind: ReadonlyMap<TypeUrl, TypeUrl>;
  /**
   * Types without which a client may not answer what came before: Envoy acknowledges clusters when they are warm, so
   * an acknowledged cluster can take traffic, but it needs endpoints and secrets for that. These types wait until all
   * before them is sent, not answered, and what was asked for of them waits for nothing. They refer to nothing.
   */
  readonly warming: ReadonlySet<TypeUrl>;
  /**
   * Removals, one type after the other, once no addition or change is left: whatever refers comes first. None goes
   * while the client rejects something, for then it goes on with what it had, and that may need it.
   */
  readonly removals: readonly TypeUrl[];
  /**
   * Types that nothing refers to by name. Their removals travel with their changes, because what replaces a resource
   * may claim the same address or domain and would be rejected beside it.
   */
  readonly removedAtOnce: ReadonlySet<TypeUrl>;
  /**
   * Types of which all that is due goes in one response, however large: a client takes the first for all there is. Envoy
   * opens a listener to traffic once it has the first virtual hosts, and knows none of those that are still to come.
   */
  readonly whole: ReadonlySet<TypeUrl>;
}

/**
 * CDS, EDS, ECDS, LDS, RDS, VHDS, SDS, then removals. Extension configurations precede routes, so that a filter
 * understands a policy before it meets it. Secrets that a new cluster waits for precede the routes to that cluster.
 */
export const DEFAULT_ORDER: PushOrder = {
  changes: [CLUSTER, ENDPOINTS, EXTENSION_CONFIG, LISTENER, ROUTES, VIRTUAL_HOST, SECRET],
  askedBehind: new Map([[SECRET, ENDPOINTS]]),
  warming: new Set([ENDPOINTS, SECRET]),
  removals: [ROUTES, EXTENSION_CONFIG, CLUSTER, ENDPOINTS, SECRET],
  removedAtOnce: new Set([LISTENER, VIRTUAL_HOST]),
  whole: new Set([VIRTUAL_HOST]),
};

/** How large a response of the type may be, where others may be about so large. */
export function mostBytes(order: PushOrder, typeUrl: TypeUrl, others: number): number {
  return order.whole.has(typeUrl) ? Number.POSITIVE_INFINITY : others;
}

/** The place of a type's changes, or of what the client asked for of it: the lower number goes first. */
export function rank(order: PushOrder, typeUrl: TypeUrl, asked: boolean): number {
  const behind = asked ? order.askedBehind.get(typeUrl) : undefined;
  if (behind !== undefined) return order.changes.indexOf(behind) + 0.5;
  const place = order.changes.indexOf(typeUrl);
  return place === -1 ? order.changes.length : place;
}

/** Whether the order names the type, so that a snapshot without it means "there are none" and not "never heard of". */
export function isKnown(order: PushOrder, typeUrl: TypeUrl): boolean {
  return order.changes.includes(typeUrl);
}

/** Resources of another type: those of these names, or all whose names begin so. */
export type Dependent = { readonly typeUrl: TypeUrl } & (
  | { readonly names: readonly string[] }
  | { readonly prefix: string }
);

/** What a client asks for when it gets a changed resource, and must get again. */
export type Dependents = (typeUrl: TypeUrl, name: string) => Dependent | undefined;

/**
 * A cluster warms on endpoints of its own name. A route configuration begins without the virtual hosts that belong to
 * it: those that came before it were for nobody.
 */
export const defaultDependents: Dependents = (typeUrl, name) => {
  if (typeUrl === CLUSTER) return { typeUrl: ENDPOINTS, names: [name] };
  return typeUrl === ROUTES ? { typeUrl: VIRTUAL_HOST, prefix: `${name}/` } : undefined;
};
