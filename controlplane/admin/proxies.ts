// What the admin tells of each proxy: its place, and by type what it acknowledged and what it rejected.
import type { Publisher } from "../publish/publisher.js";
import type { Revisions } from "../publish/revisions.js";
import type { ProxyStatus } from "../xds/status.js";

export interface ProxyTypeView {
  readonly resources: number;
  readonly sentVersion: string;
  readonly acknowledgedVersion: string;
  readonly state: "synced" | "stale" | "rejected";
  readonly lastError: { readonly message: string; readonly at: string; readonly names: readonly string[] } | null;
}

export interface ProxyView {
  readonly id: string;
  readonly role?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly connected: boolean;
  readonly protocol: string;
  readonly connectedAt: string;
  readonly acknowledgedRevision: number;
  readonly state: "synced" | "stale" | "rejected" | "disconnected";
  /** By type URL. */
  readonly types: Readonly<Record<string, ProxyTypeView>>;
}

export function proxyViews(
  statuses: readonly ProxyStatus[],
  publisher: Pick<Publisher, "proxies">,
  revisions: Revisions,
): ProxyView[] {
  return statuses
    .map((status) => proxyView(status, publisher, revisions))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

function proxyView(status: ProxyStatus, publisher: Pick<Publisher, "proxies">, revisions: Revisions): ProxyView {
  const proxy = publisher.proxies.get(status.key);
  const connected = status.disconnectedAt === undefined;
  return {
    id: status.nodeId,
    ...(proxy ? { role: proxy.role, name: proxy.name, namespace: proxy.namespace, labels: proxy.labels } : {}),
    connected,
    protocol: status.protocol,
    connectedAt: new Date(status.connectedAt).toISOString(),
    acknowledgedRevision: connected ? revisions.acknowledgedBy(status.key) : 0,
    state: connected ? overall(status) : "disconnected",
    types: Object.fromEntries(status.types.map((type) => [type.typeUrl, typeView(type)])),
  };
}

/** The worst of the types' states. */
function overall(status: ProxyStatus): ProxyTypeView["state"] {
  const states = status.types.map((type) => type.state);
  return states.includes("rejected") ? "rejected" : states.includes("stale") ? "stale" : "synced";
}

function typeView(type: ProxyStatus["types"][number]): ProxyTypeView {
  const { error } = type;
  return {
    resources: type.resources,
    sentVersion: type.sentVersion,
    acknowledgedVersion: type.acknowledgedVersion,
    state: type.state,
    lastError: error ? { message: error.message, at: new Date(error.at).toISOString(), names: error.names } : null,
  };
}
