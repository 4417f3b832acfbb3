// The state-of-the-world variant: requests name all that is wanted, CDS and LDS responses carry all there is.
import { fromBinary } from "@bufbuild/protobuf";
import { type DiscoveryRequest, DiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.js";
import type { ResourceMap } from "./difference.js";
import { encodeSotw } from "./encode.js";
import { CLUSTER, LISTENER } from "./order.js";
import type { Content, Protocol } from "./protocol.js";
import { weightOf } from "./runs.js";
import type { TypeUrl, XdsResource } from "./snapshot.js";
import type { Subscription } from "./subscription.js";
import { versionOf } from "./version.js";

/** A response of these types tells the client to drop what is not in it. */
const COMPLETE: ReadonlySet<TypeUrl> = new Set([CLUSTER, LISTENER]);

export const sotw: Protocol<DiscoveryRequest> = {
  name: "sotw",
  decode: (bytes) => fromBinary(DiscoveryRequestSchema, bytes),
  isStale: (subscription, request) => request.responseNonce !== subscription.answers.nonce,
  names: (request) => request.resourceNames,
  wanted: (request) => request.resourceNames,

  subscribe(subscription, request, { resources, generation }) {
    const wanted = new Set(request.resourceNames);
    if (wanted.size > 0) subscription.explicit = true;
    const wasWildcard = subscription.wildcard;
    subscription.wildcard = wanted.delete("*") || !subscription.explicit;
    const added = [...wanted].filter((name) => !subscription.names.has(name));
    const dropped = [...subscription.names].filter((name) => !wanted.has(name));
    for (const name of dropped) subscription.names.delete(name);
    for (const name of added) subscription.names.add(name);
    if (dropped.length > 0 || wasWildcard) subscription.forgetUncovered();
    for (const name of added) subscription.asked.add(resources.get(name)?.name ?? name);
    if (!subscription.wildcard || wasWildcard) return;
    subscription.align(resources, generation);
    subscription.answerDue = COMPLETE.has(subscription.typeUrl);
  },

  compose(subscription, resources, ripe, maxBytes) {
    return COMPLETE.has(subscription.typeUrl)
      ? composeAll(subscription, resources, ripe)
      : composeSome(subscription, resources, ripe, maxBytes);
  },

  takesHeartbeats: (typeUrl) => !COMPLETE.has(typeUrl),
  encode: encodeSotw,
};

/** Everything that is covered, and what is gone but may still be in use: that goes with the next response. */
function composeAll(subscription: Subscription, resources: ResourceMap, ripe: number): Content {
  const wanted = subscription.wildcard ? resources.values() : pick(subscription.names, resources);
  const all = new Map<string, XdsResource>();
  for (const resource of wanted) all.set(resource.name, resource);
  const removed: string[] = [];
  for (const [name, generation] of subscription.removals) {
    const held = subscription.held.get(name);
    if (generation > ripe && held?.any !== undefined) all.set(name, held as XdsResource);
    else removed.push(name);
  }
  const fresh = [...all.keys()].filter((name) => subscription.held.get(name)?.version !== all.get(name)?.version);
  const isWhole = subscription.removals.size === removed.length;
  subscription.held.clear();
  for (const resource of all.values()) subscription.held.set(resource.name, resource);
  for (const name of removed) subscription.removals.delete(name);
  subscription.asked.clear();
  subscription.pending.clear();
  subscription.answerDue = false;
  const version = isWhole ? versionOf(resources) : `${versionOf(resources)}+${subscription.removals.size}`;
  return { resources: [...all.values()], removed, fresh, version };
}

/** What differs or was asked for. There is no way to say that something is gone: the client sees it by its parents. */
function composeSome(
  subscription: Subscription,
  resources: ResourceMap,
  ripe: number,
  maxBytes: number,
): Content | undefined {
  const due: XdsResource[] = [];
  const fresh: string[] = [];
  let bytes = 0;
  for (const name of new Set([...subscription.asked, ...subscription.pending])) {
    if (bytes >= maxBytes) break;
    subscription.asked.delete(name);
    subscription.pending.delete(name);
    const resource = resources.get(name);
    if (resource === undefined) continue;
    if (subscription.held.get(name)?.version !== resource.version) fresh.push(name);
    subscription.held.set(name, resource);
    due.push(resource);
    bytes += weightOf(resource);
  }
  for (const [name, generation] of subscription.removals) {
    if (generation > ripe) continue;
    subscription.held.delete(name);
    subscription.removals.delete(name);
  }
  subscription.answerDue = false;
  return due.length > 0 ? { resources: due, removed: [], fresh, version: versionOf(resources) } : undefined;
}

function* pick(names: Iterable<string>, resources: ResourceMap): Generator<XdsResource> {
  for (const name of names) {
    const resource = resources.get(name);
    if (resource !== undefined) yield resource;
  }
}
