// A DestinationRule's traffic policy -> a cluster's load balancing, limits and outlier detection.
import { create } from "@bufbuild/protobuf";
import { type CircuitBreakers, CircuitBreakersSchema } from "../gen/envoy/config/cluster/v3/circuit_breaker_pb.js";
import {
  type Cluster,
  Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema,
  Cluster_CommonLbConfigSchema,
  Cluster_LbPolicy,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_MaglevLbConfigSchema,
  Cluster_RingHashLbConfigSchema,
  Cluster_RoundRobinLbConfigSchema,
  Cluster_SlowStartConfigSchema,
  UpstreamConnectionOptionsSchema,
} from "../gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  type OutlierDetection as EnvoyOutlierDetection,
  OutlierDetectionSchema,
} from "../gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import type {
  ConnectionPoolSettings,
  LoadBalancerSettings,
  OutlierDetection,
  PolicySettings,
  RetryBudget,
  TrafficPolicy,
} from "../resources/destination-rule.js";
import { weighsLocalities } from "./locality.js";
import { duration } from "./values.js";

/** Envoy's connect timeout where the policy gives none. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
/** No limit, as Istio has it: a limit is only what a policy asks for. */
const UNLIMITED = 4_294_967_295;
const MIN_RING_SIZE = 1024;

/**
 * The settings that govern one port of a destination. A subset's policy goes before the rule's, field by field, and a
 * port's settings before the general ones (there as a whole, as Istio's documentation says).
 */
export function effectiveSettings(
  port: number,
  rule: TrafficPolicy | undefined,
  subset: TrafficPolicy | undefined,
): PolicySettings {
  const ofRule = settingsForPort(port, rule);
  const ofSubset = settingsForPort(port, subset);
  return { ...ofRule, ...ofSubset };
}

function settingsForPort(port: number, policy: TrafficPolicy | undefined): PolicySettings {
  if (!policy) return {};
  const { portLevelSettings, ...general } = policy;
  return portLevelSettings.get(port) ?? general;
}

/** Sets connect timeout, circuit breakers, load balancing and outlier detection on the cluster. */
export function applySettings(cluster: Cluster, settings: PolicySettings): void {
  const { connectionPool, loadBalancer, outlierDetection } = settings;
  cluster.connectTimeout = duration(connectionPool?.tcp?.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);
  cluster.circuitBreakers = circuitBreakers(connectionPool, settings.retryBudget);
  applyLoadBalancer(cluster, loadBalancer, outlierDetection);
  if (weighsLocalities(settings) && cluster.commonLbConfig) {
    cluster.commonLbConfig.localityConfigSpecifier = {
      case: "localityWeightedLbConfig",
      value: create(Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema),
    };
  }
  if (outlierDetection) cluster.outlierDetection = toOutlierDetection(outlierDetection);
  const keepalive = connectionPool?.tcp?.tcpKeepalive;
  if (keepalive) {
    cluster.upstreamConnectionOptions = create(UpstreamConnectionOptionsSchema, {
      tcpKeepalive: {
        ...(keepalive.probes === undefined ? {} : { keepaliveProbes: keepalive.probes }),
        ...(keepalive.timeMs === undefined ? {} : { keepaliveTime: Math.ceil(keepalive.timeMs / 1000) }),
        ...(keepalive.intervalMs === undefined ? {} : { keepaliveInterval: Math.ceil(keepalive.intervalMs / 1000) }),
      },
    });
  }
}

/** A retry budget takes the place of maxRetries, which Envoy then does not look at. */
function circuitBreakers(pool: ConnectionPoolSettings | undefined, budget: RetryBudget | undefined): CircuitBreakers {
  return create(CircuitBreakersSchema, {
    thresholds: [
      {
        maxConnections: pool?.tcp?.maxConnections ?? UNLIMITED,
        maxPendingRequests: pool?.http?.http1MaxPendingRequests ?? UNLIMITED,
        maxRequests: pool?.http?.http2MaxRequests ?? UNLIMITED,
        maxRetries: pool?.http?.maxRetries ?? UNLIMITED,
        trackRemaining: true,
        ...(budget === undefined
          ? {}
          : {
              retryBudget: {
                budgetPercent: { value: budget.percent },
                minRetryConcurrency: budget.minRetryConcurrency,
              },
            }),
      },
    ],
  });
}

function applyLoadBalancer(
  cluster: Cluster,
  settings: LoadBalancerSettings | undefined,
  outlierDetection: OutlierDetection | undefined,
): void {
  // Without health there is nothing to panic about: an ejected host stays ejected, unless the policy says otherwise.
  const panic = outlierDetection?.minHealthPercent ?? 0;
  cluster.commonLbConfig = create(Cluster_CommonLbConfigSchema, { healthyPanicThreshold: { value: panic } });
  const hash = settings?.consistentHash;
  if (hash?.algorithm.type === "ringHash") {
    cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
    const minimumRingSize = BigInt(Math.max(MIN_RING_SIZE, hash.algorithm.minimumRingSize));
    cluster.lbConfig = { case: "ringHashLbConfig", value: create(Cluster_RingHashLbConfigSchema, { minimumRingSize }) };
    return;
  }
  if (hash?.algorithm.type === "maglev") {
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    const { tableSize } = hash.algorithm;
    const config = create(
      Cluster_MaglevLbConfigSchema,
      tableSize === undefined ? {} : { tableSize: BigInt(tableSize) },
    );
    cluster.lbConfig = { case: "maglevLbConfig", value: config };
    return;
  }
  applySimple(cluster, settings);
}

/** Round robin where the policy says nothing. */
function applySimple(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  const warmup = settings?.warmup;
  const slowStartConfig = warmup
    ? create(Cluster_SlowStartConfigSchema, {
        slowStartWindow: duration(warmup.durationMs),
        aggression: { defaultValue: warmup.aggression ?? 1, runtimeKey: "headgate.warmup.aggression" },
        minWeightPercent: { value: warmup.minimumPercent ?? 10 },
      })
    : undefined;
  const config = slowStartConfig ? { slowStartConfig } : {};
  switch (settings?.simple) {
    case "RANDOM":
      cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
      return;
    case "LEAST_REQUEST":
      cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
      if (slowStartConfig) {
        cluster.lbConfig = { case: "leastRequestLbConfig", value: create(Cluster_LeastRequestLbConfigSchema, config) };
      }
      return;
    case "PASSTHROUGH":
      cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
      return;
    default:
      cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
      if (slowStartConfig) {
        cluster.lbConfig = { case: "roundRobinLbConfig", value: create(Cluster_RoundRobinLbConfigSchema, config) };
      }
  }
}

/** Consecutive counts are enforced where they are above 0; success rates never are. */
function toOutlierDetection(outlier: OutlierDetection): EnvoyOutlierDetection {
  const consecutive5xx = outlier.consecutive5xxErrors ?? 5;
  const gateway = outlier.consecutiveGatewayErrors ?? 0;
  const local = outlier.consecutiveLocalOriginFailures ?? 5;
  const split = outlier.splitExternalLocalOriginErrors ?? false;
  return create(OutlierDetectionSchema, {
    consecutive5xx,
    enforcingConsecutive5xx: consecutive5xx > 0 ? 100 : 0,
    consecutiveGatewayFailure: gateway,
    enforcingConsecutiveGatewayFailure: gateway > 0 ? 100 : 0,
    enforcingSuccessRate: 0,
    interval: duration(outlier.intervalMs ?? 10_000),
    baseEjectionTime: duration(outlier.baseEjectionTimeMs ?? 30_000),
    maxEjectionPercent: outlier.maxEjectionPercent ?? 10,
    splitExternalLocalOriginErrors: split,
    ...(split
      ? {
          consecutiveLocalOriginFailure: local,
          enforcingConsecutiveLocalOriginFailure: local > 0 ? 100 : 0,
          enforcingLocalOriginSuccessRate: 0,
        }
      : {}),
  });
}
