// What the two variants of the protocol have to say about requests and responses; delta.ts and sotw.ts say it.
import type { DiscoveryRequest } from "../gen/envoy/service/discovery/v3/discovery_pb.js";
import type { DeltaRequest } from "./delta-request.js";
import type { ResourceMap } from "./difference.js";
import type { NameSet } from "./expectations.js";
import type { Message } from "./message.js";
import type { TypeUrl, XdsResource } from "./snapshot.js";
import type { Subscription } from "./subscription.js";

export type AnyRequest = DiscoveryRequest | DeltaRequest;

/** What a response is made of, before it has a nonce. */
export interface Content {
  readonly resources: readonly XdsResource[];
  readonly removed: readonly string[];
  /** Names among the resources whose version the client did not have yet. */
  readonly fresh: readonly string[];
  readonly version: string;
}

export interface Response extends Content {
  readonly typeUrl: TypeUrl;
  readonly nonce: string;
  /** Only says that the resources still hold: they go out without a body. */
  readonly heartbeat: boolean;
  /** The client understands resources in wrappers, which state of the world needs for a TTL. */
  readonly wrapped: boolean;
}

export interface SubscribeContext {
  /** The type's first request on the stream. */
  readonly first: boolean;
  readonly resources: ResourceMap;
  readonly generation: number;
  /** Names that must be sent even if the client says that it holds them. */
  readonly awaited: NameSet;
}

export interface Protocol<Request extends AnyRequest> {
  readonly name: "delta" | "sotw";
  /** Throws on bytes that are no such request. */
  decode(bytes: Uint8Array): Request;
  /** Whether the request is to be ignored altogether for its nonce; never asked of a type's first request. */
  isStale(subscription: Subscription, request: Request): boolean;
  /** Applies what the request says of names. */
  subscribe(subscription: Subscription, request: Request, context: SubscribeContext): void;
  /** The names that the request brings; those that can be neither empty nor longer than so many UTF-16 units may be missing. */
  names(request: Request, units: number): readonly string[];
  /** Those that the client will be subscribed to. */
  wanted(request: Request): readonly string[];
  /**
   * Takes what is due out of the subscription. Removals go along when their generation is at most `ripe`. Undefined
   * when there is nothing to say. About `maxBytes` large at most, where the variant can leave the rest for later.
   */
  compose(subscription: Subscription, resources: ResourceMap, ripe: number, maxBytes: number): Content | undefined;
  /** Whether a response of heartbeats alone is safe; otherwise everything is sent again to keep it alive. */
  takesHeartbeats(typeUrl: TypeUrl): boolean;
  encode(response: Response): Message;
}
