// DestinationRule (networking.istio.io): what happens to traffic after it was routed to a destination.
import type { Resource } from "./resource.js";
import type { Millis } from "./virtual-service.js";

export type SimpleLoadBalancer = "ROUND_ROBIN" | "LEAST_REQUEST" | "RANDOM" | "PASSTHROUGH";

export interface ConsistentHash {
  readonly key:
    | { readonly type: "header"; readonly name: string }
    | { readonly type: "cookie"; readonly name: string; readonly path?: string; readonly ttlMs?: Millis }
    | { readonly type: "queryParameter"; readonly name: string }
    | { readonly type: "sourceIp" };
  readonly algorithm:
    | { readonly type: "ringHash"; readonly minimumRingSize: number }
    | { readonly type: "maglev"; readonly tableSize?: number };
}

export interface LocalityLbSetting {
  readonly enabled: boolean;
  readonly distribute: readonly { readonly from: string; readonly to: ReadonlyMap<string, number> }[];
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  readonly failoverPriority: readonly string[];
}

export interface LoadBalancerSettings {
  readonly simple?: SimpleLoadBalancer;
  readonly consistentHash?: ConsistentHash;
  readonly localityLbSetting?: LocalityLbSetting;
  readonly warmup?: { readonly durationMs: Millis; readonly minimumPercent?: number; readonly aggression?: number };
}

export interface ConnectionPoolSettings {
  readonly tcp?: {
    readonly maxConnections?: number;
    readonly connectTimeoutMs?: Millis;
    readonly tcpKeepalive?: { readonly probes?: number; readonly timeMs?: Millis; readonly intervalMs?: Millis };
    readonly maxConnectionDurationMs?: Millis;
    readonly idleTimeoutMs?: Millis;
  };
  readonly http?: {
    readonly http1MaxPendingRequests?: number;
    readonly http2MaxRequests?: number;
    readonly maxRequestsPerConnection?: number;
    readonly maxRetries?: number;
    readonly idleTimeoutMs?: Millis;
    readonly h2UpgradePolicy?: "DEFAULT" | "DO_NOT_UPGRADE" | "UPGRADE";
    readonly useClientProtocol?: boolean;
    readonly maxConcurrentStreams?: number;
  };
}

export interface OutlierDetection {
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly consecutiveLocalOriginFailures?: number;
  readonly consecutiveGatewayErrors?: number;
  readonly consecutive5xxErrors?: number;
  readonly intervalMs?: Millis;
  readonly baseEjectionTimeMs?: Millis;
  readonly maxEjectionPercent?: number;
  readonly minHealthPercent?: number;
}

/** How many requests may be retries, of those that are under way. */
export interface RetryBudget {
  /** 0 to 100, with fractions. */
  readonly percent: number;
  /** That many at once may be in any case. */
  readonly minRetryConcurrency: number;
}

export interface ClientTlsSettings {
  readonly mode: "DISABLE" | "SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL";
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly caCrl?: string;
  readonly credentialName?: string;
  readonly subjectAltNames: readonly string[];
  readonly sni?: string;
  readonly insecureSkipVerify?: boolean;
}

/** What a traffic policy and its port-level settings have in common. */
export interface PolicySettings {
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
  readonly retryBudget?: RetryBudget;
}

export interface TrafficPolicy extends PolicySettings {
  /** By port number. */
  readonly portLevelSettings: ReadonlyMap<number, PolicySettings>;
}

export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly trafficPolicy?: TrafficPolicy;
}

export interface DestinationRuleSpec {
  /** As written: short, partial, full or wildcard. */
  readonly host: string;
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets: readonly Subset[];
  /** Labels of the client workloads it applies to; undefined means all. */
  readonly workloadSelector?: Readonly<Record<string, string>>;
  /** Empty means every namespace. */
  readonly exportTo: readonly string[];
}

export type DestinationRule = Resource<"DestinationRule", DestinationRuleSpec>;
