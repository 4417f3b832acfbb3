// What the cluster says of the pod that a token is bound to, in place of what its node says.
import type { Proxy } from "../proxy/proxy.js";

export interface ProvenPod {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The primary one first; empty until the pod has one. */
  readonly addresses: readonly string[];
}

/** Why a node cannot be that pod's; undefined where it can. */
export function podFault(pod: ProvenPod, claimed: Pick<Proxy, "name" | "addresses">): string | undefined {
  if (pod.name !== claimed.name) return `the node says pod ${claimed.name}, but its token is that of ${pod.name}`;
  const [address = ""] = claimed.addresses;
  return pod.addresses.includes(address) ? undefined : `the node says address ${address}, which its pod does not have`;
}

/** The proxy with the pod's labels and addresses; frozen. */
export function asPod(proxy: Proxy, { labels, addresses }: ProvenPod): Proxy {
  const [first = ""] = proxy.addresses;
  const others = addresses.filter((address) => address !== first);
  return Object.freeze({ ...proxy, labels, addresses: Object.freeze([first, ...others]) });
}
