// Decodes a DestinationRule's load balancing: the algorithm, consistent hashing, localities, warm-up.
import type {
  ConsistentHash,
  LoadBalancerSettings,
  LocalityLbSetting,
  SimpleLoadBalancer,
} from "./destination-rule.js";
import type { RawConsistentHash, RawLoadBalancer, RawLocalityLbSetting } from "./destination-rule.schema.js";
import { atMostOne, exactlyOne, listOf, maybe, millis, namesOfSet, nonEmpty, optional, present } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

/** Istio's default. */
const MINIMUM_RING_SIZE = 1_024;
const HASH_KEYS = ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"];

export function decodeLoadBalancer(raw: RawLoadBalancer, path: FieldPath, report: Report): LoadBalancerSettings {
  atMostOne(raw, ["simple", "consistentHash"], path, report);
  atMostOne(raw, ["warmup", "warmupDurationSecs"], path, report);
  return present({
    simple: decodeSimple(raw.simple, path, report),
    consistentHash: maybe(raw.consistentHash, (hash) =>
      decodeConsistentHash(hash, [...path, "consistentHash"], report),
    ),
    localityLbSetting: maybe(raw.localityLbSetting, (setting) =>
      decodeLocalities(setting, [...path, "localityLbSetting"], report),
    ),
    warmup: decodeWarmup(raw),
  });
}

function decodeSimple(
  simple: RawLoadBalancer["simple"],
  path: FieldPath,
  report: Report,
): SimpleLoadBalancer | undefined {
  if (simple === "LEAST_CONN") {
    report.warning("deprecated-field", [...path, "simple"], "LEAST_CONN is deprecated; write LEAST_REQUEST instead.");
    return "LEAST_REQUEST";
  }
  return simple === "UNSPECIFIED" ? undefined : optional(simple);
}

function decodeWarmup(raw: RawLoadBalancer): LoadBalancerSettings["warmup"] {
  const durationMs = millis(raw.warmup?.duration ?? raw.warmupDurationSecs);
  if (durationMs === undefined) return undefined;
  const { minimumPercent, aggression } = raw.warmup ?? {};
  return present({ durationMs, minimumPercent: optional(minimumPercent), aggression: optional(aggression) });
}

function decodeConsistentHash(raw: RawConsistentHash, path: FieldPath, report: Report): ConsistentHash {
  // useSourceIp: false asks for nothing.
  exactlyOne(raw.useSourceIp === false ? { ...raw, useSourceIp: null } : raw, HASH_KEYS, path, report);
  atMostOne(raw, ["ringHash", "maglev", "minimumRingSize"], path, report);
  return { key: decodeHashKey(raw), algorithm: decodeHashAlgorithm(raw, path, report) };
}

function decodeHashKey(raw: RawConsistentHash): ConsistentHash["key"] {
  const { httpHeaderName, httpCookie, httpQueryParameterName } = raw;
  if (httpHeaderName != null) return { type: "header", name: httpHeaderName.toLowerCase() };
  if (httpCookie != null) {
    const { name, path, ttl } = httpCookie;
    return present({ type: "cookie" as const, name: name ?? "", path: nonEmpty(path), ttlMs: millis(ttl) });
  }
  if (httpQueryParameterName != null) return { type: "queryParameter", name: httpQueryParameterName };
  return { type: "sourceIp" };
}

function decodeHashAlgorithm(raw: RawConsistentHash, path: FieldPath, report: Report): ConsistentHash["algorithm"] {
  if (raw.maglev == null) {
    return {
      type: "ringHash",
      minimumRingSize: raw.ringHash?.minimumRingSize ?? raw.minimumRingSize ?? MINIMUM_RING_SIZE,
    };
  }
  const { tableSize } = raw.maglev;
  if (tableSize != null && !isPrime(tableSize)) {
    report.error(
      "invalid-value",
      [...path, "maglev", "tableSize"],
      `${tableSize} is no prime number; maglev needs one.`,
    );
  }
  return present({ type: "maglev" as const, tableSize: optional(tableSize) });
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}

function decodeLocalities(raw: RawLocalityLbSetting, path: FieldPath, report: Report): LocalityLbSetting {
  if (namesOfSet(raw, ["distribute"]).length > 0) {
    for (const other of namesOfSet(raw, ["failover", "failoverPriority"])) {
      report.error("conflicting-fields", [...path, other], `distribute and ${other} exclude each other; keep one.`);
    }
  }
  const distribute = (raw.distribute ?? []).map((entry, index) => {
    const to = new Map(Object.entries(entry.to ?? {}));
    const sum = [...to.values()].reduce((total, share) => total + share, 0);
    if (sum !== 100 && report.sound([...path, "distribute", index])) {
      report.error("invalid-weight", [...path, "distribute", index, "to"], `The shares sum up to ${sum}, not to 100.`);
    }
    return { from: entry.from ?? "", to };
  });
  const failover = (raw.failover ?? []).map((entry, index) => {
    if (entry.from != null && entry.from === entry.to) {
      report.error("invalid-value", [...path, "failover", index, "to"], "A region cannot fail over to itself.");
    }
    return { from: entry.from ?? "", to: entry.to ?? "" };
  });
  return { enabled: raw.enabled ?? true, distribute, failover, failoverPriority: listOf(raw.failoverPriority) };
}
