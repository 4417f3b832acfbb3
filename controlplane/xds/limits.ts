// What a request may ask of a stream, so that no client takes more than its share of memory. No I/O.
import type { AnyRequest, Protocol } from "./protocol.js";
import type { TypeUrl } from "./snapshot.js";
import type { Subscription } from "./subscription.js";

export interface RequestLimits {
  readonly maxTypes: number;
  /** Subscribed names on one stream, of all types together. */
  readonly maxNames: number;
  /** Of a resource name or type URL, in UTF-16 units. */
  readonly maxNameLength: number;
}

/** Why a request ends its stream. */
export interface Refusal {
  readonly code: "INVALID_ARGUMENT" | "RESOURCE_EXHAUSTED";
  readonly message: string;
}

/** Checks a request before anything is done for it; undefined when it is fine. */
export function refuse<Request extends AnyRequest>(
  protocol: Protocol<Request>,
  request: Request,
  subscriptions: ReadonlyMap<TypeUrl, Subscription>,
  { maxTypes, maxNames, maxNameLength }: RequestLimits,
): Refusal | undefined {
  const { typeUrl } = request;
  const names = protocol.names(request, maxNameLength);
  const isTooLong = (text: string) => text.length > maxNameLength;
  if (typeUrl === "") return { code: "INVALID_ARGUMENT", message: "a request needs a type URL" };
  if (names.includes("")) return { code: "INVALID_ARGUMENT", message: "a resource name is empty" };
  if (isTooLong(typeUrl) || names.some(isTooLong)) {
    return { code: "INVALID_ARGUMENT", message: `a name is longer than ${maxNameLength}` };
  }
  if (!subscriptions.has(typeUrl) && subscriptions.size >= maxTypes) {
    return { code: "RESOURCE_EXHAUSTED", message: `more than ${maxTypes} resource types` };
  }
  if (countNames(protocol.wanted(request), typeUrl, subscriptions, maxNames) > maxNames) {
    return { code: "RESOURCE_EXHAUSTED", message: `more than ${maxNames} resource names` };
  }
  return undefined;
}

/**
 * The names that the stream would be subscribed to at most after a request that wants these. Known ones count twice where
 * that makes no more than enough.
 */
function countNames(
  wanted: readonly string[],
  typeUrl: TypeUrl,
  subscriptions: ReadonlyMap<TypeUrl, Subscription>,
  enough: number,
): number {
  let total = 0;
  for (const { names } of subscriptions.values()) total += names.size;
  const known = subscriptions.get(typeUrl)?.names;
  const isFew = known === undefined || total + wanted.length <= enough;
  return total + (isFew ? wanted.length : wanted.filter((name) => !known.has(name)).length);
}
