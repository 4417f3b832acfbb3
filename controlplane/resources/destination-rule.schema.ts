// The schema of a DestinationRule's spec: every field of Istio's API, with what Headgate does with it.
import {
  deprecated,
  flag,
  integer,
  labels,
  list,
  map,
  number,
  type Raw,
  refused,
  struct,
  text,
  wholeNumber,
  word,
  works,
} from "./schema.js";

const consistentHash = struct({
  httpHeaderName: works("expected", text("headerName")),
  httpCookie: works(
    "expected",
    struct(
      {
        name: works("expected", text("headerName")),
        path: works("expected", text()),
        ttl: works("expected", text("durationOrZero")),
        attributes: refused("rare"),
      },
      ["name"],
    ),
  ),
  useSourceIp: works("expected", flag()),
  httpQueryParameterName: works("expected", text("notEmpty")),
  ringHash: works("expected", struct({ minimumRingSize: works("expected", integer(1, 8_388_608)) })),
  maglev: works("expected", struct({ tableSize: works("expected", integer(2, 5_000_011)) })),
  minimumRingSize: deprecated(integer(1, 8_388_608), "ringHash.minimumRingSize"),
});
export type RawConsistentHash = Raw<typeof consistentHash>;

const localityLbSetting = struct({
  distribute: works(
    "expected",
    list(
      struct(
        {
          from: works("expected", text("notEmpty")),
          to: works("expected", map(wholeNumber("percentage"), "notEmpty")),
        },
        ["from", "to"],
      ),
    ),
  ),
  failover: works(
    "expected",
    list(
      struct({ from: works("expected", text("notEmpty")), to: works("expected", text("notEmpty")) }, ["from", "to"]),
    ),
  ),
  failoverPriority: works("expected", list(text("notEmpty"))),
  enabled: works("expected", flag()),
});
export type RawLocalityLbSetting = Raw<typeof localityLbSetting>;

const loadBalancer = struct({
  simple: works("core", word("UNSPECIFIED", "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "LEAST_CONN")),
  consistentHash: works("expected", consistentHash),
  localityLbSetting: works("expected", localityLbSetting),
  warmup: works(
    "expected",
    struct(
      {
        duration: works("expected", text("duration")),
        minimumPercent: works("expected", number("percentage")),
        aggression: works("expected", number("aggression")),
      },
      ["duration"],
    ),
  ),
  warmupDurationSecs: deprecated(text("duration"), "warmup.duration"),
  zoneAwareLbSetting: refused("rare"),
});
export type RawLoadBalancer = Raw<typeof loadBalancer>;

export const connectionPoolSchema = struct({
  tcp: works(
    "core",
    struct({
      maxConnections: works("core", integer()),
      connectTimeout: works("core", text("duration")),
      tcpKeepalive: works(
        "expected",
        struct({
          probes: works("expected", integer()),
          time: works("expected", text("wholeSeconds")),
          interval: works("expected", text("wholeSeconds")),
        }),
      ),
      maxConnectionDuration: works("expected", text("duration")),
      idleTimeout: works("expected", text("durationOrZero")),
    }),
  ),
  http: works(
    "core",
    struct({
      http1MaxPendingRequests: works("core", integer()),
      http2MaxRequests: works("core", integer()),
      maxRequestsPerConnection: works("core", integer()),
      maxRetries: works("core", integer()),
      idleTimeout: works("core", text("durationOrZero")),
      h2UpgradePolicy: works("expected", word("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")),
      useClientProtocol: works("expected", flag()),
      maxConcurrentStreams: works("expected", integer()),
      http2KeepAlive: refused("rare"),
    }),
  ),
});
export type RawConnectionPool = Raw<typeof connectionPoolSchema>;

const outlierDetection = struct({
  consecutive5xxErrors: works("core", integer()),
  consecutiveGatewayErrors: works("core", integer()),
  consecutiveErrors: deprecated(integer(), "consecutiveGatewayErrors or consecutive5xxErrors"),
  interval: works("core", text("duration")),
  baseEjectionTime: works("core", text("duration")),
  maxEjectionPercent: works("core", wholeNumber("percentage")),
  splitExternalLocalOriginErrors: works("expected", flag()),
  consecutiveLocalOriginFailures: works("expected", integer()),
  minHealthPercent: works("expected", wholeNumber("percentage")),
  outlierDetectionHttpErrorCodes: refused("rare"),
});
export type RawOutlierDetection = Raw<typeof outlierDetection>;

const clientTls = struct({
  mode: works("core", word("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")),
  clientCertificate: works("core", text()),
  privateKey: works("core", text()),
  caCertificates: works("core", text()),
  sni: works("core", text("fqdn")),
  subjectAltNames: works("core", list(text("notEmpty"))),
  credentialName: works("expected", text("objectName")),
  insecureSkipVerify: works("expected", flag()),
  caCrl: works("expected", text()),
});
export type RawClientTls = Raw<typeof clientTls>;

const policySettings = {
  loadBalancer: works("core", loadBalancer),
  connectionPool: works("core", connectionPoolSchema),
  outlierDetection: works("core", outlierDetection),
  tls: works("core", clientTls),
  retryBudget: works(
    "rare",
    struct({
      percent: works("rare", number("percentage")),
      minRetryConcurrency: works("rare", integer()),
      budgetInterval: refused("rare"),
    }),
  ),
};
const policySettingsSchema = struct(policySettings);
export type RawPolicySettings = Raw<typeof policySettingsSchema>;

const trafficPolicy = struct({
  ...policySettings,
  portLevelSettings: works(
    "expected",
    list(
      struct(
        {
          port: works("expected", struct({ number: works("expected", wholeNumber("port")) }, ["number"])),
          ...policySettings,
        },
        ["port"],
      ),
    ),
  ),
  tunnel: refused("rare"),
  proxyProtocol: refused("rare"),
});
export type RawTrafficPolicy = Raw<typeof trafficPolicy>;

export const destinationRuleSchema = struct(
  {
    host: works("core", text("host")),
    trafficPolicy: works("core", trafficPolicy),
    subsets: works(
      "core",
      list(
        struct(
          {
            name: works("core", text("dnsLabel")),
            labels: works("core", labels()),
            trafficPolicy: works("core", trafficPolicy),
          },
          ["name"],
        ),
      ),
    ),
    workloadSelector: works("expected", struct({ matchLabels: works("expected", labels()) })),
    exportTo: works("expected", list(text("exportTo"))),
  },
  ["host"],
);
export type RawDestinationRule = Raw<typeof destinationRuleSchema>;
