// What Istio's documentation allows for a field and what it does not, in tables: one object is made for each value.

/** A field with values that are allowed there, and values that are not, in an object that is otherwise without fault. */
export interface FieldValues {
  readonly kind: string;
  /** Below spec, with indexes: http[0].timeout */
  readonly field: string;
  readonly valid: readonly unknown[];
  readonly invalid: readonly unknown[];
  /** The code that the invalid ones give. */
  readonly code: string;
  /** Other fields that the values need, by path. */
  readonly beside?: Readonly<Record<string, unknown>>;
}

const DURATIONS = {
  valid: ["1s", "0.5s", "1h30m", "2ms", "100ms", "1m"],
  invalid: ["5", "s", "-1s", "1d", "0.1ms", "0s", "1s 2s"],
  code: "invalid-duration",
};
const PERCENTAGES = { valid: [0, 0.01, 50, 99.9, 100], invalid: [-1, 100.1, 1000], code: "invalid-percentage" };
const WHOLE_PERCENTAGES = { valid: [0, 1, 50, 100], invalid: [-1, 101, 1000], code: "invalid-percentage" };
const PORTS = { valid: [1, 80, 8080, 65_535], invalid: [0, -1, 65_536, 100_000], code: "invalid-port" };
const COUNTS = { valid: [0, 1, 1_000, 2_147_483_647], invalid: [-1, 2_147_483_648, -1_000], code: "invalid-value" };
const NAMES = {
  valid: ["a", "v1", "a-b", "0", "a".repeat(63)],
  invalid: ["A", "-a", "a-", "a_b", "a.b", "a".repeat(64)],
  code: "invalid-name",
};
const LABELS = {
  valid: ["", "v1", "A_b.c", "a".repeat(63)],
  invalid: ["a b", "-a", "a-", "é", "a".repeat(64)],
  code: "invalid-name",
};
const HOSTS = {
  valid: ["a", "a.b", "a.default.svc.cluster.local", "*.example.com", "A.example.com"],
  invalid: ["a b", "a..b", "http://a.example.com", "-a", "a.*", "**.example.com", "a.*.com"],
  code: "invalid-host",
};
const NAMESPACES = { valid: [".", "*", "~", "team-a"], invalid: ["A", "a b", "a/b", ".."], code: "invalid-name" };
const SUBNETS = {
  valid: ["10.0.0.0/8", "10.0.0.1", "::1/128", "2001:db8::/32"],
  invalid: ["10.0.0.0/33", "10.0.0", "a.example.com", "::1/129"],
  code: "invalid-host",
};
const EXPRESSIONS = {
  valid: ["a+", "/v[0-9]+/.*", "(?i)abc", "\\d{1,3}", "(a|b)*", "\\pL+", "[[:alpha:]]", "^/a$"],
  invalid: ["(", "[a", "a**", "(?=a)", "(a)\\1", "a{1001}", "(?P<n>a)(?P<n>b)", "\\p{Nothing}"],
  code: "invalid-regex",
};
const STATUSES = { valid: [200, 404, 503, 599], invalid: [199, 600, 0, -1], code: "invalid-value" };
const words = (valid: readonly string[]) => ({ valid, invalid: ["", "Other"], code: "invalid-value" });

type Values = Pick<FieldValues, "valid" | "invalid" | "code">;
const rows =
  (kind: string) =>
  (field: string, values: Values, beside: FieldValues["beside"] = {}): FieldValues => ({
    kind,
    field,
    ...values,
    beside,
  });

const virtualService = rows("VirtualService");
const destinationRule = rows("DestinationRule");
const gateway = rows("Gateway");
const serviceEntry = rows("ServiceEntry");
const sidecar = rows("Sidecar");
const workloadEntry = rows("WorkloadEntry");
const workloadGroup = rows("WorkloadGroup");

const NO_ROUTE = { "http[0].route": undefined };
const ABORTED = { "http[0].fault.abort.percentage.value": 1 };
const TCP = { http: undefined, "tcp[0].route[0].destination.host": "b" };
const INGRESS = { "ingress[0].port": { number: 9080, protocol: "HTTP", name: "http" } };
const POOL = "trafficPolicy.connectionPool";
const OUTLIERS = "trafficPolicy.outlierDetection";

export const DOCUMENTED_VALUES: readonly FieldValues[] = [
  virtualService("hosts[0]", HOSTS),
  virtualService("http[0].timeout", DURATIONS),
  virtualService("http[0].retries.perTryTimeout", DURATIONS, { "http[0].retries.attempts": 2 }),
  virtualService("http[0].retries.backoff", DURATIONS, { "http[0].retries.attempts": 2 }),
  virtualService("http[0].retries.attempts", COUNTS),
  virtualService(
    "http[0].retries.retryOn",
    {
      valid: ["5xx", "gateway-error,reset", "503", "connect-failure, 429", "unavailable,cancelled", "retriable-4xx"],
      invalid: ["6xx", "gateway_error", "5xx,,reset", "always", "700"],
      code: "invalid-value",
    },
    { "http[0].retries.attempts": 2 },
  ),
  virtualService("http[0].fault.delay.fixedDelay", DURATIONS, { "http[0].fault.delay.percentage.value": 1 }),
  virtualService("http[0].fault.delay.percentage.value", PERCENTAGES, { "http[0].fault.delay.fixedDelay": "1s" }),
  virtualService("http[0].fault.abort.percentage.value", PERCENTAGES, { "http[0].fault.abort.httpStatus": 500 }),
  virtualService("http[0].fault.abort.httpStatus", { ...STATUSES, invalid: [199, 600, -1] }, ABORTED),
  virtualService(
    "http[0].fault.abort.grpcStatus",
    {
      valid: ["UNAVAILABLE", "NOT_FOUND", "DEADLINE_EXCEEDED", "INTERNAL"],
      invalid: ["SOMETHING", "503", "unavailable now"],
      code: "invalid-value",
    },
    ABORTED,
  ),
  virtualService("http[0].mirrorPercentage.value", PERCENTAGES, { "http[0].mirror.host": "c" }),
  virtualService("http[0].mirrors[0].percentage.value", PERCENTAGES, { "http[0].mirrors[0].destination.host": "c" }),
  virtualService("http[0].mirror.host", { ...HOSTS, invalid: [...HOSTS.invalid, "*"] }),
  virtualService("http[0].route[0].destination.host", { ...HOSTS, invalid: [...HOSTS.invalid, "*"] }),
  virtualService("http[0].route[0].destination.subset", NAMES),
  virtualService("http[0].route[0].destination.port.number", PORTS),
  virtualService("http[0].match[0].port", PORTS),
  virtualService("http[0].match[0].sourceNamespace", NAMES),
  virtualService("http[0].match[0].sourceLabels.app", LABELS),
  virtualService("http[0].match[0].uri.regex", EXPRESSIONS),
  virtualService("http[0].match[0].headers.x-user.regex", EXPRESSIONS),
  virtualService("http[0].match[0].queryParams.q.regex", EXPRESSIONS),
  virtualService("http[0].rewrite.uriRegexRewrite.match", EXPRESSIONS, {
    "http[0].rewrite.uriRegexRewrite.rewrite": "/",
  }),
  virtualService("http[0].corsPolicy.allowOrigins[0].regex", EXPRESSIONS),
  virtualService("http[0].corsPolicy.maxAge", {
    valid: ["1s", "24h", "0s", "1m30s"],
    invalid: ["500ms", "1", "1.5s", "-1s"],
    code: "invalid-duration",
  }),
  virtualService("http[0].corsPolicy.allowMethods[0]", {
    valid: ["GET", "POST", "DELETE", "OPTIONS", "PATCH"],
    invalid: ["get", "FETCH", "", "GET,POST"],
    code: "invalid-value",
  }),
  virtualService(
    "http[0].redirect.redirectCode",
    {
      valid: [301, 302, 303, 307, 308],
      invalid: [300, 304, 200, 404],
      code: "invalid-value",
    },
    { ...NO_ROUTE, "http[0].redirect.uri": "/" },
  ),
  virtualService("http[0].redirect.port", PORTS, NO_ROUTE),
  virtualService("http[0].redirect.derivePort", words(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]), {
    ...NO_ROUTE,
    "http[0].redirect.uri": "/",
  }),
  virtualService("http[0].redirect.scheme", words(["http", "https"]), NO_ROUTE),
  virtualService("http[0].directResponse.status", STATUSES, NO_ROUTE),
  virtualService("http[0].headers.request.set.x-a", {
    valid: ["b", "", "100%%", "%REQ(:path)%", "a, b"],
    invalid: ["100%", "%nothing%", "a\u0000b", "%REQ(:path)"],
    code: "invalid-value",
  }),
  virtualService("tcp[0].match[0].port", PORTS, TCP),
  virtualService("tcp[0].match[0].destinationSubnets[0]", SUBNETS, TCP),
  virtualService("gateways[0]", {
    valid: ["mesh", "gw", "team-a/gw"],
    invalid: ["a/b/c", "/gw", "team-a/", "GW"],
    code: "invalid-name",
  }),
  virtualService("exportTo[0]", NAMESPACES),
  destinationRule("host", HOSTS),
  destinationRule("exportTo[0]", NAMESPACES),
  destinationRule("subsets[0].name", NAMES),
  destinationRule("subsets[0].labels.version", LABELS, { "subsets[0].name": "v1" }),
  destinationRule(
    "trafficPolicy.loadBalancer.simple",
    words(["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "UNSPECIFIED"]),
  ),
  destinationRule("trafficPolicy.loadBalancer.warmup.duration", DURATIONS),
  destinationRule("trafficPolicy.loadBalancer.warmup.minimumPercent", PERCENTAGES, {
    "trafficPolicy.loadBalancer.warmup.duration": "10s",
  }),
  destinationRule(`${POOL}.tcp.maxConnections`, COUNTS),
  destinationRule(`${POOL}.tcp.connectTimeout`, DURATIONS),
  destinationRule(`${POOL}.tcp.maxConnectionDuration`, DURATIONS),
  destinationRule(`${POOL}.http.http1MaxPendingRequests`, COUNTS),
  destinationRule(`${POOL}.http.http2MaxRequests`, COUNTS),
  destinationRule(`${POOL}.http.maxRequestsPerConnection`, COUNTS),
  destinationRule(`${POOL}.http.maxRetries`, COUNTS),
  destinationRule(`${POOL}.http.h2UpgradePolicy`, words(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"])),
  destinationRule(`${OUTLIERS}.consecutive5xxErrors`, COUNTS),
  destinationRule(`${OUTLIERS}.consecutiveGatewayErrors`, COUNTS),
  destinationRule(`${OUTLIERS}.interval`, DURATIONS),
  destinationRule(`${OUTLIERS}.baseEjectionTime`, DURATIONS),
  destinationRule(`${OUTLIERS}.maxEjectionPercent`, WHOLE_PERCENTAGES),
  destinationRule(`${OUTLIERS}.minHealthPercent`, WHOLE_PERCENTAGES),
  destinationRule("trafficPolicy.portLevelSettings[0].port.number", PORTS),
  gateway("servers[0].port.number", PORTS),
  gateway("servers[0].hosts[0]", {
    valid: ["*", "*.example.com", "team-a/a.example.com", "./a.example.com", "*/a.example.com"],
    invalid: ["a b", "a.*", "a/b/c", "team-a/"],
    code: "invalid-host",
  }),
  gateway("servers[0].bind", {
    valid: ["0.0.0.0", "127.0.0.1", "::", "10.0.0.1"],
    invalid: ["a.example.com", "10.0.0.0/8", "10.0.0", "unix://relative"],
    code: "invalid-host",
  }),
  gateway("selector.app", LABELS),
  serviceEntry("hosts[0]", HOSTS, { resolution: "NONE" }),
  serviceEntry("exportTo[0]", NAMESPACES),
  serviceEntry("addresses[0]", SUBNETS, { resolution: "NONE" }),
  serviceEntry("location", words(["MESH_EXTERNAL", "MESH_INTERNAL"])),
  serviceEntry("ports[0].number", PORTS),
  serviceEntry("ports[0].targetPort", PORTS),
  serviceEntry("ports[0].name", NAMES),
  serviceEntry("ports[0].protocol", {
    valid: ["HTTP", "HTTPS", "GRPC", "HTTP2", "TCP", "TLS", "MONGO", "MYSQL", "REDIS", "http"],
    invalid: ["FTP", "HTTP/2", "HTTP 2"],
    code: "invalid-value",
  }),
  sidecar("egress[0].hosts[0]", {
    valid: ["./*", "*/*", "team-a/a.example.com", "./*.example.com", "~/*"],
    invalid: ["a", "team-a/", "a/b/c", "TEAM/a"],
    code: "invalid-host",
  }),
  sidecar("outboundTrafficPolicy.mode", words(["REGISTRY_ONLY", "ALLOW_ANY"])),
  sidecar("workloadSelector.labels.app", LABELS),
  sidecar(
    "ingress[0].defaultEndpoint",
    {
      valid: ["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080", "unix:///run/a.sock"],
      invalid: ["10.0.0.1:8080", "8080", "localhost:8080", "unix://relative"],
      code: "invalid-host",
    },
    INGRESS,
  ),
  workloadEntry("address", {
    valid: ["10.0.0.1", "2001:db8::1", "vm.example.com", "unix:///run/a.sock"],
    invalid: ["a b", "10.0.0.1:80", "unix://relative", "*.example.com"],
    code: "invalid-host",
  }),
  workloadEntry("ports.http", PORTS),
  workloadEntry("labels.app", LABELS),
  workloadEntry("weight", { ...COUNTS, invalid: [-1, 2_147_483_648] }),
  workloadEntry("locality", {
    valid: ["region", "region/zone", "region/zone/subzone"],
    invalid: ["", "region/", "a/b/c/d", "/zone"],
    code: "invalid-value",
  }),
  workloadGroup("template.ports.http", PORTS),
  workloadGroup("metadata.labels.app", LABELS),
];
