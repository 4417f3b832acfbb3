// Who connects: what a stream's first request says of its node, and whether it is let in.
import type { PeerCertificate } from "node:tls";
import type { Metadata, status } from "@grpc/grpc-js";
import type { Node } from "../gen/envoy/config/core/v3/base_pb.js";

/** The node as the client describes itself. Nothing of it is proved; see Peer for what is. */
export interface NodeIdentity {
  /** Never empty. */
  readonly id: string;
  readonly cluster: string;
  /** Plain JSON. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  readonly userAgentName: string;
  /** As in "1.40.0"; empty when the client does not say. */
  readonly userAgentVersion: string;
  readonly clientFeatures: readonly string[];
}

export interface Peer {
  /** Address and port. */
  readonly address: string;
  /** The variant of the protocol that it speaks. */
  readonly protocol: "delta" | "sotw";
  /** Present when the client showed one and TLS accepted it. */
  readonly certificate?: PeerCertificate;
}

export type Admission =
  | { readonly key: string }
  | { readonly error: { readonly code: status; readonly message: string } };

/**
 * Decides on a stream before any work is done for it: under which key its snapshots lie in the cache, or with which
 * status it ends. Called for each stream; a proxy may have two for a while, when it restarts hot or reconnects. What it
 * does for the key (publishing a first snapshot) it must do last: an onDisconnect for the key may come while it waits.
 */
export type OnConnect = (node: NodeIdentity, peer: Peer, metadata: Metadata) => Admission | Promise<Admission>;

const MAX_ID_LENGTH = 1024;

/** What the node says, or why it cannot be taken. */
export function identify(node: Node | undefined): NodeIdentity | { readonly error: string } {
  if (node === undefined || node.id === "") return { error: "the first request of a stream needs a node with an id" };
  if (node.id.length > MAX_ID_LENGTH || node.cluster.length > MAX_ID_LENGTH) {
    return { error: `a node's id and cluster have ${MAX_ID_LENGTH} characters at most` };
  }
  return {
    id: node.id,
    cluster: node.cluster,
    metadata: node.metadata ?? {},
    locality: {
      region: node.locality?.region ?? "",
      zone: node.locality?.zone ?? "",
      subZone: node.locality?.subZone ?? "",
    },
    userAgentName: node.userAgentName,
    userAgentVersion: userAgentVersion(node),
    clientFeatures: node.clientFeatures,
  };
}

function userAgentVersion({ userAgentVersionType: version }: Node): string {
  if (version.case === "userAgentVersion") return version.value;
  const number = version.case === "userAgentBuildVersion" ? version.value.version : undefined;
  return number === undefined ? "" : `${number.majorNumber}.${number.minorNumber}.${number.patch}`;
}
