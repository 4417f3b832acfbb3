// StagedRollout (headgate.dev/v1alpha1): how a VirtualService's route moves users from one destination to another.
import type { Resource } from "./resource.js";

/** What keeps a user with one destination. */
export type StickyKey =
  | { readonly type: "header"; readonly name: string }
  | { readonly type: "cookie"; readonly name: string }
  | { readonly type: "queryParameter"; readonly name: string }
  | { readonly type: "sourceAddress" };

export interface RampStep {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Destination -> weight; a destination that is not named has 0. */
  readonly weights: ReadonlyMap<string, number>;
}

/**
 * Refines one named http rule of a VirtualService of the same namespace. Destinations are called by their subset, or by
 * their host, as the rule writes it, where they have none.
 */
export interface StagedRolloutSpec {
  readonly virtualService: string;
  /** The rule's name. */
  readonly route: string;
  readonly sticky?: { readonly key: StickyKey; readonly salt?: string };
  /** In rising time. Before the first step its weights hold, after the last one its; between two they move evenly. */
  readonly ramp: readonly RampStep[];
  /** A header that pins a request: its value -> destination. */
  readonly override?: { readonly header: string; readonly values: ReadonlyMap<string, string> };
}

export type StagedRollout = Resource<"StagedRollout", StagedRolloutSpec>;
