// Lets proxies in: a node that makes sense, from a client that may be it. Before that, nothing is done for a stream.
import { status } from "@grpc/grpc-js";
import { type Proxy, parseNode } from "../proxy/proxy.js";
import type { OnConnect } from "../xds/connect.js";
import { authenticate, type Refusal, type Ways } from "./authenticate.js";

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

/** The ADS server's onConnect. A proxy's snapshots lie under its node id, whose namespace is the one that was proved. */
export function createAdmission({ ways, onAdmitted, onRefused }: AdmissionOptions): OnConnect {
  return async (node, peer, metadata) => {
    const refuse = (code: Refused["code"], message: string) => {
      onRefused({ peer: peer.address, nodeId: node.id, code, message });
      return { error: { code: status[code], message } };
    };
    const parsed = parseNode(node, peer.protocol);
    if ("error" in parsed) return refuse("INVALID_ARGUMENT", parsed.error);
    const refusal = await authenticate(
      {
        ...(peer.certificate ? { certificate: peer.certificate.raw } : {}),
        authorization: metadata.get("authorization").map(String),
      },
      parsed.proxy,
      ways,
    );
    if (refusal) return refuse(refusal.code, refusal.message);
    await onAdmitted(parsed.proxy);
    return { key: parsed.proxy.id };
  };
}
