// The input of the policy compiler: the HTTP rules of one host, as one proxy sees them, in order.
import type { HttpMatch } from "../resources/virtual-service.js";

/** One HTTP rule. Rules are tried in order and the first that matches decides. */
export interface PolicyRule {
  /**
   * Alternatives; empty matches everything. What is known while translating (port, sourceLabels, sourceNamespace,
   * gateways) has already been decided: alternatives that cannot hold were dropped, and those fields are not looked at.
   */
  readonly matches: readonly HttpMatch[];
  /** At least one. The weights' sum is above 0. A redirect or direct response is one destination. */
  readonly destinations: readonly PolicyDestination[];
  readonly fault?: PolicyFault;
  readonly rollout?: PolicyRollout;
}

export interface PolicyDestination {
  /** The id that the filter writes into filter state; a key of the host's exact-match route map. */
  readonly route: string;
  /** An integer, 0 or more. */
  readonly weight: number;
  /**
   * What the destination is called, for a subset its name: stickiness and the filter's counters go by it, so it should
   * outlast changes of the route's details. The route id by default.
   */
  readonly label?: string;
}

export interface PolicyFault {
  readonly delay?: { readonly millis: number /** 0 to 100, with fractions. */; readonly percentage: number };
  readonly abort?: {
    /** 200 to 599; of no meaning when grpcStatus is given. */
    readonly httpStatus?: number;
    /** 0 to 16. */
    readonly grpcStatus?: number;
    readonly percentage: number;
  };
  /** Draw for every try (in the upstream filter chain) instead of once a request. */
  readonly perTry?: boolean;
  /** Milliseconds since the epoch from which on the fault is no longer injected. */
  readonly expiresAt?: number;
}

/** How a rule's destinations are chosen, beyond plain random weights. */
export interface PolicyRollout {
  /** What keeps a user with one destination; absent means a draw for each request. */
  readonly sticky?: {
    readonly key:
      | { readonly type: "header"; readonly name: string }
      | { readonly type: "cookie"; readonly name: string }
      | { readonly type: "queryParameter"; readonly name: string }
      | { readonly type: "sourceAddress" };
    readonly salt: string;
  };
  /** Breakpoints in rising time: weights, one for each destination, hold at that time and are interpolated between. */
  readonly ramp?: readonly {
    /** Milliseconds since the epoch. */ readonly at: number;
    readonly weights: readonly number[];
  }[];
  /** A header whose value names a destination by index pins the request to it: value -> destination index. */
  readonly override?: { readonly header: string; readonly values: ReadonlyMap<string, number> };
}
