// The incremental variant: requests add to and take from a subscription, responses carry what differs.
import type { Claims } from "./claims.js";
import { type DeltaRequest, decodeDeltaRequest } from "./delta-request.js";
import type { ResourceMap } from "./difference.js";
import { encodeDelta } from "./encode.js";
import type { Protocol } from "./protocol.js";
import { sharedRun, weightOf } from "./runs.js";
import type { XdsResource } from "./snapshot.js";
import type { Subscription } from "./subscription.js";
import { versionOf } from "./version.js";

export const delta: Protocol<DeltaRequest> = {
  name: "delta",
  decode: decodeDeltaRequest,
  isStale: () => false,
  names: (request, units) => [
    ...request.resourceNamesSubscribe,
    ...request.resourceNamesUnsubscribe,
    ...request.initialResourceVersions.suspectNames(units),
  ],
  wanted: (request) => request.resourceNamesSubscribe,

  subscribe(subscription, request, { first, resources, generation, awaited }) {
    const { resourceNamesSubscribe: added, resourceNamesUnsubscribe: removed } = request;
    const legacyWildcard = first && added.length === 0 && removed.length === 0;
    const wasWildcard = subscription.wildcard;
    const { held, asked, names } = subscription;
    for (const set of [names, asked]) set.follow(resources, added.length);
    if (legacyWildcard || added.includes("*")) subscription.wildcard = true;
    const wanted = namesOf(added, resources);
    names.addAll(wanted);
    const claimed = first && claim(subscription, request.initialResourceVersions, resources);
    if (!claimed) asked.addAll(wanted);
    else for (const name of wanted) if (!held.has(name)) asked.add(name);
    if (claimed) for (const name of awaited) if (held.has(name)) asked.add(name);
    if (subscription.wildcard && !wasWildcard) subscription.answerDue = true;
    else if (added.includes("*")) for (const name of resources.keys()) asked.add(name);
    const isEmpty = held.size === 0 && asked.size === 0 && names.size === 0;
    if (subscription.wildcard && first && isEmpty) subscription.startLoad(resources);
    else if (claimed) subscription.alignNames(claimed.doubtful, resources, generation);
    else if (subscription.wildcard !== wasWildcard) subscription.align(resources, generation);
    unsubscribe(subscription, removed);
  },

  compose(subscription, resources, ripe, maxBytes) {
    const { asked, load } = subscription;
    const version = versionOf(resources);
    if (load !== undefined && asked.size > 0) subscription.endLoad();
    const run = subscription.load
      ? subscription.takeRun(subscription.load, maxBytes)
      : subscription.takeAsked(resources, maxBytes);
    if (run !== undefined) {
      subscription.answerDue = false;
      subscription.settle(resources);
      return { resources: run.resources, removed: [], fresh: run.names, version };
    }
    const out = new Collected(maxBytes);
    for (const [name, resource] of asked.drain(resources)) {
      if (resource !== undefined) send(subscription, resource, out);
      else remove(subscription, name, out);
      if (out.isFull) break;
    }
    for (const name of subscription.pending) {
      if (out.isFull) break;
      const resource = resources.get(name);
      if (resource !== undefined) send(subscription, resource, out);
      subscription.pending.delete(name);
    }
    for (const [name, generation] of subscription.removals) if (generation <= ripe) remove(subscription, name, out);
    if (out.isEmpty && !subscription.answerDue) return undefined;
    subscription.answerDue = false;
    return { ...hold(subscription, out, resources), removed: out.removed, version };
  },

  takesHeartbeats: () => true,
  encode: encodeDelta,
};

/** Shorter lists are gone through faster than they are found. */
const LONG = 256;
const named = new WeakMap<readonly string[], WeakMap<ResourceMap, readonly string[]>>();

/** The strings of the snapshot, which all streams share, in place of those that came; once for a list that many send. */
function namesOf(added: readonly string[], resources: ResourceMap): readonly string[] {
  if (added.length < LONG) return ofSnapshot(added, resources);
  const ofAdded = named.get(added) ?? new WeakMap<ResourceMap, readonly string[]>();
  named.set(added, ofAdded);
  const known = ofAdded.get(resources) ?? ofSnapshot(added, resources);
  ofAdded.set(resources, known);
  return known;
}

function ofSnapshot(added: readonly string[], resources: ResourceMap): readonly string[] {
  return added.filter((name) => name !== "*").map((name) => resources.get(name)?.name ?? name);
}

/**
 * Takes what a client says that it holds from an earlier stream to be held, as far as it is covered. Gives the names that
 * need a closer look: all others are held as the resources are, or neither held nor covered. Undefined without claims.
 */
function claim(
  subscription: Subscription,
  claims: Claims,
  resources: ResourceMap,
): { readonly doubtful: readonly string[] } | undefined {
  if (claims.size === 0) return undefined;
  const { held } = subscription;
  const { differing, absent } = claims.against(resources);
  const holdsMost = absent.length * 2 <= resources.size;
  if (holdsMost) {
    held.isExactly(resources);
    for (const name of absent) held.delete(name);
    if (!subscription.wildcard) for (const name of resources.keys()) if (!subscription.covers(name)) held.delete(name);
  }
  for (const [name, version] of holdsMost ? differing : claims) {
    if (!subscription.covers(name)) continue;
    const current = resources.get(name);
    held.set(current?.name ?? name, current?.version === version ? current : { name: current?.name ?? name, version });
  }
  return { doubtful: [...absent, ...differing.map(([name]) => name)].filter((name) => subscription.covers(name)) };
}

/** Under a wildcard the client cannot know whether it may keep the resource, so it is told. */
function unsubscribe(subscription: Subscription, names: readonly string[]): void {
  if (names.includes("*")) {
    subscription.wildcard = false;
    subscription.forgetUncovered();
  }
  for (const name of names) {
    if (!subscription.names.delete(name)) continue;
    if (subscription.wildcard) subscription.asked.add(name);
    else subscription.forget(name);
  }
  if (!subscription.wildcard && subscription.names.size === 0) subscription.answerDue = false;
}

class Collected {
  readonly resources: XdsResource[] = [];
  readonly removed: string[] = [];
  readonly fresh: string[] = [];
  /** The client held none of the resources' names. */
  isNew = true;
  #bytes = 0;

  constructor(readonly maxBytes: number) {}

  get isFull(): boolean {
    return this.#bytes >= this.maxBytes;
  }

  get isEmpty(): boolean {
    return this.resources.length === 0 && this.removed.length === 0;
  }

  add(resource: XdsResource): void {
    this.resources.push(resource);
    this.#bytes += weightOf(resource);
  }
}

function send(subscription: Subscription, resource: XdsResource, out: Collected): void {
  const held = subscription.held.get(resource.name);
  if (held !== undefined) out.isNew = false;
  if (held?.version !== resource.version) out.fresh.push(resource.name);
  out.add(resource);
  subscription.pending.delete(resource.name);
}

function remove(subscription: Subscription, name: string, out: Collected): void {
  out.removed.push(name);
  subscription.held.delete(name);
  subscription.removals.delete(name);
}

/** From now on the client is taken to hold what was collected: with others, where they are sent the same. */
function hold(subscription: Subscription, out: Collected, resources: ResourceMap) {
  const { held } = subscription;
  const run = out.isNew ? sharedRun(out.resources) : undefined;
  if (run) held.add(run.byName);
  else for (const resource of out.resources) held.set(resource.name, resource);
  subscription.settle(resources);
  return run ? { resources: run.resources, fresh: run.names } : { resources: out.resources, fresh: out.fresh };
}
