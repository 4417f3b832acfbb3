// Decodes a DestinationRule: subsets and traffic policies. Load balancing and TLS have files of their own.
import { decodeClientTls } from "./client-tls.decode.js";
import { decodeConnectionPool } from "./connection-pool.decode.js";
import type {
  DestinationRuleSpec,
  OutlierDetection,
  PolicySettings,
  Subset,
  TrafficPolicy,
} from "./destination-rule.js";
import type {
  RawDestinationRule,
  RawOutlierDetection,
  RawPolicySettings,
  RawTrafficPolicy,
} from "./destination-rule.schema.js";
import { decodeExportTo, labelsOf, maybe, millis, optional, present, reportRepeats } from "./fields.js";
import { decodeLoadBalancer } from "./load-balancer.decode.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

/** Istio's and Envoy's own. */
const DEFAULT_RETRY_PERCENT = 20;
const DEFAULT_RETRY_CONCURRENCY = 3;

export function decodeDestinationRule(raw: RawDestinationRule, report: Report): DestinationRuleSpec {
  const subsets = raw.subsets ?? [];
  reportRepeats(
    subsets,
    (subset) => subset.name ?? undefined,
    (index, first) =>
      report.error("invalid-name", ["spec", "subsets", index, "name"], `subsets[${first}] has the same name.`),
  );
  const exportTo = decodeExportTo(raw.exportTo, ["spec", "exportTo"], report);
  if (raw.workloadSelector != null && exportTo.some((namespace) => namespace !== ".")) {
    const message = 'With a workloadSelector the rule holds in its own namespace; write "." or remove exportTo.';
    report.error("conflicting-fields", ["spec", "exportTo"], message);
  }
  return present({
    host: raw.host ?? "",
    trafficPolicy: maybe(raw.trafficPolicy, (policy) => decodeTrafficPolicy(policy, ["spec", "trafficPolicy"], report)),
    subsets: subsets.map((subset, index): Subset => {
      const path = ["spec", "subsets", index, "trafficPolicy"];
      return present({
        name: subset.name ?? "",
        labels: labelsOf(subset.labels),
        trafficPolicy: maybe(subset.trafficPolicy, (policy) => decodeTrafficPolicy(policy, path, report)),
      });
    }),
    workloadSelector: maybe(raw.workloadSelector, (selector) => labelsOf(selector.matchLabels)),
    exportTo,
  });
}

function decodeTrafficPolicy(raw: RawTrafficPolicy, path: FieldPath, report: Report): TrafficPolicy {
  const settings = raw.portLevelSettings ?? [];
  const at = [...path, "portLevelSettings"];
  reportRepeats(
    settings,
    (entry) => entry.port?.number ?? undefined,
    (index, first) =>
      report.error("invalid-port", [...at, index, "port", "number"], `portLevelSettings[${first}] has the same port.`),
  );
  const byPort = settings.map(
    (entry, index) => [entry.port?.number ?? 0, decodePolicySettings(entry, [...at, index], report)] as const,
  );
  return { ...decodePolicySettings(raw, path, report), portLevelSettings: new Map(byPort) };
}

function decodePolicySettings(raw: RawPolicySettings, path: FieldPath, report: Report): PolicySettings {
  return present({
    loadBalancer: maybe(raw.loadBalancer, (value) => decodeLoadBalancer(value, [...path, "loadBalancer"], report)),
    connectionPool: maybe(raw.connectionPool, (value) =>
      decodeConnectionPool(value, [...path, "connectionPool"], report),
    ),
    outlierDetection: maybe(raw.outlierDetection, (value) =>
      decodeOutlierDetection(value, [...path, "outlierDetection"], report),
    ),
    tls: maybe(raw.tls, (value) => decodeClientTls(value, [...path, "tls"], report)),
    retryBudget: maybe(raw.retryBudget, ({ percent, minRetryConcurrency }) => ({
      percent: percent ?? DEFAULT_RETRY_PERCENT,
      minRetryConcurrency: minRetryConcurrency ?? DEFAULT_RETRY_CONCURRENCY,
    })),
  });
}

function decodeOutlierDetection(raw: RawOutlierDetection, path: FieldPath, report: Report): OutlierDetection {
  if (raw.splitExternalLocalOriginErrors !== true && (raw.consecutiveLocalOriginFailures ?? 0) > 0) {
    const message = "Local failures are only counted with splitExternalLocalOriginErrors: true.";
    report.error("conflicting-fields", [...path, "consecutiveLocalOriginFailures"], message);
  }
  return present({
    splitExternalLocalOriginErrors: optional(raw.splitExternalLocalOriginErrors),
    consecutiveLocalOriginFailures: optional(raw.consecutiveLocalOriginFailures),
    // What consecutiveErrors counted were gateway errors: 502, 503 and 504.
    consecutiveGatewayErrors: optional(raw.consecutiveGatewayErrors ?? raw.consecutiveErrors),
    consecutive5xxErrors: optional(raw.consecutive5xxErrors),
    intervalMs: millis(raw.interval),
    baseEjectionTimeMs: millis(raw.baseEjectionTime),
    maxEjectionPercent: optional(raw.maxEjectionPercent),
    minHealthPercent: optional(raw.minHealthPercent),
  });
}
