// An xDS node -> the proxy it stands for: the claims that translation depends on, checked and bounded.
import { isIP } from "node:net";

/** REDIRECT: iptables send the workload's traffic to the sidecar. NONE: the workload calls the sidecar's ports itself. */
export type InterceptionMode = "REDIRECT" | "NONE";

/** One Envoy. Frozen. */
export interface Proxy {
  /** The xDS node id, as in sidecar~10.0.0.1~app-1.default~default.svc.cluster.local. */
  readonly id: string;
  /** A sidecar stands beside one workload; a router is a gateway. */
  readonly role: "sidecar" | "router";
  readonly name: string;
  readonly namespace: string;
  /** At least one; the first is the one in the node id. */
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** The WorkloadGroup of its namespace in which it registers itself. */
  readonly workloadGroup?: string;
  readonly interceptionMode: InterceptionMode;
  /** It takes virtual hosts as resources of their own, which only delta clients can. */
  readonly separateHosts: boolean;
  /** It cannot bind ports below 1024. */
  readonly unprivileged: boolean;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  /** Since when the workload is so, milliseconds since the epoch by its own clock; 0 where that is not said. */
  readonly since: number;
  /** The workload's own certificates, which ISTIO_MUTUAL uses: as a client, and as a server. */
  readonly clientCertificate: CertificateFiles;
  readonly serverCertificate: CertificateFiles;
}

/** Paths on the proxy's machine, PEM. */
export interface CertificateFiles {
  readonly chain: string;
  readonly key: string;
  /** The authority that the other side's certificate must come from. */
  readonly root: string;
}

/** What is read of envoy.config.core.v3.Node; metadata as plain JSON. */
export interface Node {
  readonly id: string;
  readonly metadata?: unknown;
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string };
}

/** The variant of the xDS protocol by which the proxy asks. */
export type Protocol = "delta" | "sotw";

const MAX_ID_LENGTH = 1024;
const MAX_LABELS = 256;
const MAX_LABEL_LENGTH = 320;
const MAX_ADDRESSES = 16;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Gives the proxy, or says what is wrong with the node's claims. Unknown metadata is ignored. */
export function parseNode(node: Node, protocol: Protocol): { readonly proxy: Proxy } | { readonly error: string } {
  if (node.id.length > MAX_ID_LENGTH) return { error: `node id is longer than ${MAX_ID_LENGTH} characters` };
  const [role, address, workload, domain, ...rest] = node.id.split("~");
  if (rest.length > 0 || !address || !workload || !domain || (role !== "sidecar" && role !== "router")) {
    return { error: "node id must have the form sidecar~IP~NAME.NAMESPACE~DOMAIN or router~IP~NAME.NAMESPACE~DOMAIN" };
  }
  if (isIP(address) === 0) return { error: "the node id's second part must be an IP address" };
  const metadata = isRecord(node.metadata) ? node.metadata : {};
  const dot = workload.lastIndexOf(".");
  const namespace = workload.slice(dot + 1);
  if (dot <= 0 || !DNS_LABEL.test(namespace)) {
    return { error: "the namespace (the end of the node id's third part) is not a valid name" };
  }
  // Whoever proves to be of one namespace must not take the node id of another's proxy.
  if ((text(metadata.NAMESPACE) ?? namespace) !== namespace) {
    return { error: "metadata NAMESPACE is not the namespace in the node id" };
  }
  const labels = stringMap(metadata.LABELS);
  if (!labels) return { error: `metadata LABELS must map at most ${MAX_LABELS} names to strings` };
  const workloadGroup = text(metadata.AUTO_REGISTER_GROUP);
  const mode = text(metadata.INTERCEPTION_MODE) ?? "REDIRECT";
  if (mode !== "REDIRECT" && mode !== "NONE") return { error: "metadata INTERCEPTION_MODE must be REDIRECT or NONE" };
  return {
    proxy: Object.freeze({
      id: node.id,
      role,
      name: workload.slice(0, dot),
      namespace,
      addresses: Object.freeze(addresses(address, text(metadata.INSTANCE_IPS))),
      labels,
      serviceAccount: text(metadata.SERVICE_ACCOUNT) ?? "default",
      ...(workloadGroup === undefined ? {} : { workloadGroup }),
      interceptionMode: mode,
      separateHosts: protocol === "delta",
      unprivileged: metadata.UNPRIVILEGED_POD === "true" || metadata.UNPRIVILEGED_POD === true,
      since: time(metadata.SINCE),
      locality: node.locality ?? { region: "", zone: "", subZone: "" },
      clientCertificate: certificateFiles(metadata, "CLIENT"),
      serverCertificate: certificateFiles(metadata, "SERVER"),
    }),
  };
}

/** As Istio: TLS_CLIENT_CERT_CHAIN and its kin name the files, which else lie in /etc/certs. */
function certificateFiles(metadata: Record<string, unknown>, side: "CLIENT" | "SERVER"): CertificateFiles {
  return Object.freeze({
    chain: text(metadata[`TLS_${side}_CERT_CHAIN`]) ?? "/etc/certs/cert-chain.pem",
    key: text(metadata[`TLS_${side}_KEY`]) ?? "/etc/certs/key.pem",
    root: text(metadata[`TLS_${side}_ROOT_CERT`]) ?? "/etc/certs/root-cert.pem",
  });
}

function addresses(first: string, others: string | undefined): string[] {
  const all = [first, ...(others ?? "").split(",").map((address) => address.trim())];
  return [...new Set(all.filter((address) => isIP(address) !== 0))].slice(0, MAX_ADDRESSES);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MAX_LABEL_LENGTH ? value : undefined;
}

function time(value: unknown): number {
  return typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stringMap(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return Object.freeze({});
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length > MAX_LABELS) return undefined;
  const checked: [string, string][] = [];
  for (const [key, entry] of entries) {
    if (typeof entry !== "string" || entry.length > MAX_LABEL_LENGTH || key.length > MAX_LABEL_LENGTH) return undefined;
    checked.push([key, entry]);
  }
  return Object.freeze(Object.fromEntries(checked));
}
