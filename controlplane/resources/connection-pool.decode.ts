// Decodes the connection pool settings that DestinationRules and Sidecars share.
import type { ConnectionPoolSettings } from "./destination-rule.js";
import type { RawConnectionPool } from "./destination-rule.schema.js";
import { maybe, millis, optional, present } from "./fields.js";
import type { Report } from "./report.js";
import type { FieldPath } from "./resource.js";

export function decodeConnectionPool(raw: RawConnectionPool, path: FieldPath, report: Report): ConnectionPoolSettings {
  if (raw.http?.h2UpgradePolicy === "UPGRADE" && raw.http.useClientProtocol === true) {
    const message = "useClientProtocol cannot be had with h2UpgradePolicy UPGRADE; remove one of them.";
    report.error("conflicting-fields", [...path, "http", "useClientProtocol"], message);
  }
  return present({
    tcp: maybe(raw.tcp, (tcp) =>
      present({
        maxConnections: optional(tcp.maxConnections),
        connectTimeoutMs: millis(tcp.connectTimeout),
        tcpKeepalive: maybe(tcp.tcpKeepalive, ({ probes, time, interval }) =>
          present({ probes: optional(probes), timeMs: millis(time), intervalMs: millis(interval) }),
        ),
        maxConnectionDurationMs: millis(tcp.maxConnectionDuration),
        idleTimeoutMs: millis(tcp.idleTimeout),
      }),
    ),
    http: maybe(raw.http, (http) =>
      present({
        http1MaxPendingRequests: optional(http.http1MaxPendingRequests),
        http2MaxRequests: optional(http.http2MaxRequests),
        maxRequestsPerConnection: optional(http.maxRequestsPerConnection),
        maxRetries: optional(http.maxRetries),
        idleTimeoutMs: millis(http.idleTimeout),
        h2UpgradePolicy: optional(http.h2UpgradePolicy),
        useClientProtocol: optional(http.useClientProtocol),
        maxConcurrentStreams: optional(http.maxConcurrentStreams),
      }),
    ),
  });
}
