// A model of a proxy: it applies responses as Envoy does, answers them, and notices what would have cost a request.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from "../../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";
import { type DeltaRequest, decodeDeltaRequest } from "../../../controlplane/xds/delta-request.js";
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES } from "../../../controlplane/xds/order.js";
import type { Response } from "../../../controlplane/xds/protocol.js";
import type { TypeUrl } from "../../../controlplane/xds/snapshot.js";

export interface ModelTraits {
  readonly variant: "delta" | "sotw";
  /** Acknowledges clusters only when they have their endpoints, as Envoy does; at once otherwise, as others do. */
  readonly acknowledgesWarm: boolean;
  /** A response that brings such a version is rejected, though what is valid in it is applied. */
  readonly rejects: (version: string) => boolean;
}

type ModelRequest = DeltaRequest | DiscoveryRequest;
const TYPES = [CLUSTER, ENDPOINTS, LISTENER, ROUTES] as const;

/**
 * Names and versions say everything: a listener's version is "<route>#<n>", a route's "<cluster>#<n>". Clusters take
 * traffic once they had endpoints, and a changed one again when it was sent them again; until then the old one serves.
 */
export class ModelProxy {
  readonly held = new Map<TypeUrl, Map<string, string>>(TYPES.map((typeUrl) => [typeUrl, new Map()]));
  /** What would have failed requests, in words. */
  readonly faults: string[] = [];
  responses = 0;
  readonly #serving = new Set<string>();
  readonly #warming = new Set<string>();
  readonly #nonces = new Map<TypeUrl, string>();
  readonly #subscribed = new Map<TypeUrl, Set<string>>([
    [ENDPOINTS, new Set()],
    [ROUTES, new Set()],
  ]);
  #withheld: ModelRequest[] = [];

  constructor(readonly traits: ModelTraits) {}

  /** The first requests of a new stream, one for each type that is in use. */
  connect(): ModelRequest[] {
    this.#nonces.clear();
    this.#withheld = [];
    return TYPES.flatMap((typeUrl): ModelRequest[] => {
      const names = [...(this.#subscribed.get(typeUrl) ?? [])];
      if (this.#subscribed.has(typeUrl) && names.length === 0) return [];
      if (this.traits.variant === "sotw") return [create(DiscoveryRequestSchema, { typeUrl, resourceNames: names })];
      const claimed = [...this.#of(typeUrl)].filter(([name]) => typeUrl !== ENDPOINTS || !this.#warming.has(name));
      const initialResourceVersions = Object.fromEntries(claimed);
      return [deltaRequest({ typeUrl, resourceNamesSubscribe: names, initialResourceVersions })];
    });
  }

  /** What the proxy says to a response, in its order. */
  apply(response: Response): ModelRequest[] {
    this.responses++;
    const { typeUrl, nonce } = response;
    this.#nonces.set(typeUrl, nonce);
    const bad = response.resources.filter(({ version }) => this.traits.rejects(version));
    const good = response.resources.filter(({ version }) => !this.traits.rejects(version));
    const before = new Map(this.#of(typeUrl));
    for (const { name, version } of good) this.#of(typeUrl).set(name, version);
    const removed =
      this.traits.variant === "sotw" && (typeUrl === CLUSTER || typeUrl === LISTENER)
        ? [...before.keys()].filter((name) => !response.resources.some((resource) => resource.name === name))
        : response.removed;
    for (const name of removed) this.#of(typeUrl).delete(name);
    const requests = this.#react(
      typeUrl,
      good.map(({ name }) => name),
      removed,
      before,
    );
    const error = bad.length > 0 ? `${bad.map(({ name }) => name).join(", ")}: no` : undefined;
    const answer = this.#request(typeUrl, nonce, [], [], error);
    if (typeUrl === CLUSTER && this.traits.acknowledgesWarm && this.#warming.size > 0) this.#withheld.push(answer);
    else requests.push(answer);
    if (this.#warming.size === 0) requests.push(...this.#withheld.splice(0));
    return requests;
  }

  #react(typeUrl: TypeUrl, sent: string[], removed: readonly string[], before: Map<string, string>): ModelRequest[] {
    if (typeUrl === CLUSTER) {
      const fresh = sent.filter((name) => before.get(name) !== this.#of(CLUSTER).get(name));
      for (const name of fresh) this.#warming.add(name);
      for (const name of removed) this.#removeCluster(name);
      return this.#subscribe(ENDPOINTS, [...this.#of(CLUSTER).keys()]);
    }
    if (typeUrl === ENDPOINTS) {
      for (const name of sent) {
        this.#warming.delete(name);
        this.#serving.add(name);
      }
    }
    if (typeUrl === LISTENER) {
      return this.#subscribe(
        ROUTES,
        [...this.#of(LISTENER).values()].map((version) => version.split("#")[0] ?? ""),
      );
    }
    if (typeUrl === ROUTES) for (const name of sent) this.#checkRoute(name);
    return [];
  }

  #removeCluster(name: string): void {
    this.#warming.delete(name);
    this.#serving.delete(name);
    for (const [route, version] of this.#of(ROUTES)) {
      if (version.startsWith(`${name}#`)) this.faults.push(`${name} was removed while ${route} led to it`);
    }
  }

  #checkRoute(route: string): void {
    const cluster = this.#of(ROUTES).get(route)?.split("#")[0] ?? "";
    if (!this.#serving.has(cluster)) this.faults.push(`${route} was led to ${cluster}, which could not serve`);
  }

  #subscribe(typeUrl: TypeUrl, names: readonly string[]): ModelRequest[] {
    const subscribed = this.#subscribed.get(typeUrl) ?? new Set();
    const wanted = new Set(names);
    const added = [...wanted].filter((name) => !subscribed.has(name));
    const dropped = [...subscribed].filter((name) => !wanted.has(name));
    for (const name of dropped) this.#of(typeUrl).delete(name);
    this.#subscribed.set(typeUrl, wanted);
    if (added.length === 0 && dropped.length === 0) return [];
    return [
      this.#request(typeUrl, this.traits.variant === "sotw" ? (this.#nonces.get(typeUrl) ?? "") : "", added, dropped),
    ];
  }

  #request(typeUrl: TypeUrl, responseNonce: string, added: string[], dropped: string[], error?: string): ModelRequest {
    const errorDetail = error === undefined ? {} : { errorDetail: { code: 3, message: error } };
    if (this.traits.variant === "sotw") {
      const resourceNames = [...(this.#subscribed.get(typeUrl) ?? [])];
      return create(DiscoveryRequestSchema, { typeUrl, responseNonce, resourceNames, ...errorDetail });
    }
    return deltaRequest({
      typeUrl,
      responseNonce,
      resourceNamesSubscribe: added,
      resourceNamesUnsubscribe: dropped,
      ...errorDetail,
    });
  }

  #of(typeUrl: TypeUrl): Map<string, string> {
    return this.held.get(typeUrl) ?? new Map();
  }
}

/** As it comes from the wire. */
function deltaRequest(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): DeltaRequest {
  return decodeDeltaRequest(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)));
}
