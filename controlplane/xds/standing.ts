// Where a client stands with one resource, for whoever looks at it closely.
import type { Subscription } from "./subscription.js";

/**
 * held: it acknowledged this version. sent: it has not answered yet. rejected: it rejected a response that had this
 * resource at fault, as far as known, and holds an older version or none. pending: it is yet to be sent. unwanted: it
 * never asked for it.
 */
export type Standing = "held" | "sent" | "rejected" | "pending" | "unwanted";

/** Of the resource in this version. */
export function standingOf(subscription: Subscription, name: string, version: string): Standing {
  if (!subscription.covers(name)) return "unwanted";
  if (subscription.answers.isSuspect(name)) return "rejected";
  if (subscription.held.get(name)?.version !== version) return "pending";
  return subscription.answers.isUnanswered(name) ? "sent" : "held";
}
