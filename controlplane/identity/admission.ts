// Lets proxies in: a node that makes sense, from a client that may be it. Before that, nothing is done for a stream.
import type { PeerCertificate } from "node:tls";
import { type Metadata, status } from "@grpc/grpc-js";
import { type Proxy, parseNode } from "../proxy/proxy.js";
import type { OnConnect } from "../xds/connect.js";
import { authenticate, type Presented, type Refusal, type Ways } from "./authenticate.js";
import { asPod } from "./proven-pod.js";

export interface Refused {
  /** Address and port. */
  readonly peer: string;
  /** As claimed. */
  readonly nodeId: string;
  readonly code: Refusal["code"] | "INVALID_ARGUMENT";
  readonly message: string;
}

export interface AdmissionOptions {
  readonly ways: Ways;
  /** Called last, for a proxy that is let in. */
  readonly onAdmitted: (proxy: Proxy) => Promise<void>;
  readonly onRefused: (refused: Refused) => void;
}

/** A call of another service, at the address of ADS. */
export interface OtherCall {
  readonly metadata: Metadata;
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate };
}

/**
 * Whether the client of a call may speak for a node; undefined when it may. Where clients are known, only proxies that
 * ADS has let in are spoken for.
 */
export function createCallAdmission(ways: Ways, proxies: () => ReadonlyMap<string, Proxy>) {
  return async (nodeId: string, call: OtherCall): Promise<{ code: status; details: string } | undefined> => {
    if (!ways.certificates && !ways.tokens) return undefined;
    const proxy = proxies().get(nodeId);
    if (!proxy) return { code: status.UNAVAILABLE, details: "this node is not connected to ADS" };
    const { refusal } = await authenticate(
      presented(call.getAuthContext().sslPeerCertificate, call.metadata),
      proxy,
      ways,
    );
    return refusal && { code: status[refusal.code], details: refusal.message };
  };
}

/** The ADS server's onConnect. A proxy's snapshots lie under its node id, whose namespace is the one that was proved. */
export function createAdmission({ ways, onAdmitted, onRefused }: AdmissionOptions): OnConnect {
  return async (node, peer, metadata) => {
    const refuse = (code: Refused["code"], message: string) => {
      onRefused({ peer: peer.address, nodeId: node.id, code, message });
      return { error: { code: status[code], message } };
    };
    const parsed = parseNode(node, peer.protocol);
    if ("error" in parsed) return refuse("INVALID_ARGUMENT", parsed.error);
    const known = await authenticate(presented(peer.certificate, metadata), parsed.proxy, ways);
    if (known.refusal) return refuse(known.refusal.code, known.refusal.message);
    const proxy = known.pod ? asPod(parsed.proxy, known.pod) : parsed.proxy;
    await onAdmitted(proxy);
    return { key: proxy.id };
  };
}

function presented(certificate: PeerCertificate | undefined, metadata: Metadata): Presented {
  return {
    ...(certificate ? { certificate: certificate.raw } : {}),
    authorization: metadata.get("authorization").map(String),
  };
}
