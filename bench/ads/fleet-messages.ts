// What the benchmark and the process with its simulated proxies say to each other.

/** How many resources of each type a proxy must hold to count as synchronised. */
export type Expected = Readonly<Record<string, number>>;

export interface ConnectOrder {
  readonly order: "connect";
  readonly address: string;
  /** Proxies are numbered; those of these numbers are connected. */
  readonly from: number;
  readonly to: number;
  /** They are spread over so many namespaces. */
  readonly namespaces: number;
  readonly expected: Expected;
  /** So many streams are opened in a second; all at once if absent. */
  readonly perSecond?: number;
}

export type FleetOrder =
  | ConnectOrder
  /** Drops all connections and connects again at once, as when the control plane's network comes back. */
  | { readonly order: "reconnect" }
  /** The connections will break of themselves; reports when every proxy is back. */
  | { readonly order: "expect" }
  /** Counts from now on, until every proxy has got a resource of this name anew. */
  | { readonly order: "await"; readonly typeUrl: string; readonly name: string }
  /** The first proxy rejects the next response of a type, with these words. */
  | { readonly order: "reject"; readonly typeUrl: string; readonly error: string }
  /** What was received since counting began. */
  | { readonly order: "count" };

/** Sums over all proxies. */
export interface Counts {
  readonly bytes: number;
  readonly responses: number;
  readonly resources: number;
}

export type FleetReport =
  | {
      readonly report: "connected";
      /** When the last proxy held all that was expected, by clock.ts. */
      readonly at: number;
      readonly counts: Counts;
      /** Streams that were refused before they were let in. */
      readonly refused: number;
      /** What the proxies' own process used meanwhile: well below `at` less the start, or it is what was measured. */
      readonly cpuMillis: number;
    }
  | {
      readonly report: "arrived";
      /** When each proxy had received the resource and sent its acknowledgement, by clock.ts. */
      readonly at: readonly number[];
      readonly counts: Counts;
    }
  /** When the first proxy had sent its rejection, by clock.ts. */
  | { readonly report: "rejected"; readonly at: number }
  | { readonly report: "counted"; readonly counts: Counts };
