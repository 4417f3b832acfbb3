// What decoded objects look like, and that decoding takes anything.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeObject, expandList } from "../../controlplane/resources/decode.js";
import type { AnyResource, Kind } from "../../controlplane/resources/kinds.js";
import { parseYaml } from "../../controlplane/sources/yaml.js";

function decodeFile(name: string): AnyResource[] {
  const path = fileURLToPath(new URL(`./testdata/valid/${name}.yaml`, import.meta.url));
  return decodeText(readFileSync(path, "utf8"));
}

function decodeText(text: string): AnyResource[] {
  return parseYaml(text, "f.yaml")
    .objects.flatMap((object) => expandList(object))
    .flatMap(({ raw }) => decodeObject(raw, "fallback").resource ?? []);
}

function resource<K extends Kind>(file: string, kind: K, name: string): Extract<AnyResource, { kind: K }> {
  const found = decodeFile(file).find((candidate) => candidate.kind === kind && candidate.meta.name === name);
  if (found === undefined) throw new Error(`${file} has no ${kind} ${name}.`);
  return found as Extract<AnyResource, { kind: K }>;
}

/** Wraps a value as a source without positions would. */
function decodeValue(value: unknown) {
  return decodeObject({ value, locate: () => undefined }, "fallback");
}

const virtualService = {
  apiVersion: "networking.istio.io/v1",
  kind: "VirtualService",
  metadata: { name: "a" },
  spec: { hosts: ["a"], http: [{ route: [{ destination: { host: "b" } }] }] },
};

describe("metadata", () => {
  test("is taken over, with the time of creation in milliseconds", () => {
    expect(resource("virtual-service", "VirtualService", "everything").meta).toEqual({
      name: "everything",
      namespace: "prod",
      labels: { team: "shop", "example.com/tier": "1" },
      annotations: { note: "any text: at all" },
      createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    });
  });

  test("has the default namespace, no labels and no time where the object says nothing", () => {
    const { resource } = decodeValue(virtualService);
    expect(resource?.meta).toEqual({ name: "a", namespace: "fallback", labels: {}, annotations: {}, createdAt: 0 });
  });
});

describe("a VirtualService", () => {
  const { spec } = resource("virtual-service", "VirtualService", "everything");
  const [all, redirected, older, teapot, bytes, delegated, rewritten, last] = spec.http;

  test("has its hosts, gateways and namespaces as written", () => {
    expect(spec.hosts).toEqual(["reviews", "reviews.prod.svc.cluster.local", "*.example.com", "10.0.0.1"]);
    expect(spec.gateways).toEqual(["mesh", "gate", "infra/gate"]);
    expect(spec.exportTo).toEqual([".", "other"]);
  });

  test("is bound to the mesh where it names no gateways", () => {
    const { resource } = decodeValue(virtualService);
    expect(resource?.kind === "VirtualService" && resource.spec.gateways).toEqual(["mesh"]);
  });

  test("matches by every condition, with header names in lower case and an empty match for presence", () => {
    expect(all?.match[0]).toEqual({
      name: "first",
      uri: { type: "prefix", value: "/api" },
      ignoreUriCase: true,
      scheme: { type: "exact", value: "https" },
      method: { type: "exact", value: "GET" },
      authority: { type: "regex", value: ".*\\.example\\.com" },
      headers: new Map([
        ["end-user", { type: "exact", value: "jason" }],
        ["x-anything", { type: "present" }],
      ]),
      withoutHeaders: new Map([
        ["x-old", { type: "prefix", value: "v0" }],
        ["x-none", { type: "present" }],
      ]),
      queryParams: new Map([
        ["q", { type: "exact", value: "" }],
        ["r", { type: "present" }],
      ]),
      port: 8080,
      sourceLabels: { app: "web" },
      sourceNamespace: "prod",
      gateways: ["mesh"],
      statPrefix: "api",
    });
  });

  test("has weights as written, and 100 for a destination that stands alone", () => {
    expect(all?.route.map(({ destination, weight }) => [destination, weight])).toEqual([
      [{ host: "reviews", subset: "v1", port: 9080 }, 75],
      [{ host: "reviews.prod", subset: "v2" }, 20],
    ]);
    expect(last?.route).toEqual([{ destination: { host: "ratings" }, weight: 100 }]);
  });

  test("has header operations, timeouts and retries in milliseconds, and faults in percent", () => {
    expect(all?.route[0]?.headers).toEqual({
      request: { set: new Map([["x-version", "v1"]]), add: new Map([["x-more", "%PROTOCOL%"]]), remove: ["x-gone"] },
      response: { set: new Map([["x-served", "100%%"]]), add: new Map([["x-by", "headgate"]]), remove: ["server"] },
    });
    expect(all).toMatchObject({
      timeoutMs: 10_000,
      retries: {
        attempts: 3,
        perTryTimeoutMs: 2_000,
        retryOn: "5xx, reset,503,unavailable",
        retryRemoteLocalities: true,
        retryIgnorePreviousHosts: false,
        backoffMs: 25,
      },
      fault: { delay: { fixedDelayMs: 500, percentage: 0.1 }, abort: { grpcStatus: 14, percentage: 100 } },
      mirrors: [
        { destination: { host: "shadow" }, percentage: 12.5 },
        { destination: { host: "shadow2" }, percentage: 100 },
      ],
      corsPolicy: { maxAgeMs: 86_400_000, allowCredentials: true, unmatchedPreflights: "IGNORE" },
    });
    expect(last?.retries).toEqual({ attempts: 0 });
  });

  test("redirects, answers, delegates and rewrites", () => {
    expect(redirected?.redirect).toEqual({
      uri: "/new",
      authority: "example.org",
      port: 8443,
      scheme: "https",
      redirectCode: 308,
    });
    expect(older?.redirect).toEqual({ derivePort: "FROM_REQUEST_PORT", scheme: "http", redirectCode: 301 });
    expect(teapot?.directResponse).toEqual({ status: 418, body: { string: "short and stout" } });
    expect(bytes?.directResponse).toEqual({ status: 200, body: { bytes: new TextEncoder().encode("hello") } });
    expect(delegated?.delegate).toEqual({ name: "child", namespace: "other" });
    expect(rewritten).toMatchObject({
      rewrite: { uri: "/", authority: "inner.example.com" },
      mirrors: [{ destination: { host: "shadow", subset: "v1" }, percentage: 1 }],
    });
    expect(last?.rewrite).toEqual({ uriRegexRewrite: { match: "^/a/(.*)$", rewrite: "/b/\\1" } });
  });

  test("has TLS and TCP rules", () => {
    const { tls, tcp } = resource("virtual-service", "VirtualService", "l4").spec;
    expect(tls[0]).toEqual({
      match: [
        {
          sniHosts: ["a.example.com", "b.example.org", "*.c.example.org"],
          destinationSubnets: ["10.0.0.0/8", "fd00::/64", "192.0.2.1"],
          port: 443,
          sourceLabels: { app: "web" },
          sourceNamespace: "prod",
          gateways: ["gate"],
        },
      ],
      route: [
        { destination: { host: "a", port: 443 }, weight: 1 },
        { destination: { host: "b" }, weight: 3 },
      ],
    });
    expect(tcp[1]).toEqual({ match: [], route: [{ destination: { host: "mongo" }, weight: 100 }] });
  });

  test("takes the deprecated spellings for the fields that followed them", () => {
    const [found] = decodeText(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a]
  http:
  - route: [{destination: {host: a}}]
    mirror: {host: b}
    mirrorPercent: 7
    fault: {delay: {fixedDelay: 1s, percent: 3}}
    corsPolicy: {allowOrigin: [https://a]}
`);
    expect(found?.kind === "VirtualService" && found.spec.http[0]).toMatchObject({
      mirrors: [{ percentage: 7 }],
      fault: { delay: { percentage: 3 } },
      corsPolicy: { allowOrigins: [{ type: "exact", value: "https://a" }] },
    });
  });
});

describe("a DestinationRule", () => {
  const { spec } = resource("destination-rule", "DestinationRule", "everything");

  test("has its policy", () => {
    expect(spec.trafficPolicy).toMatchObject({
      loadBalancer: {
        simple: "LEAST_REQUEST",
        localityLbSetting: {
          enabled: true,
          distribute: [{ from: "a/b/*", to: new Map(Object.entries({ "a/b/*": 80, "a/c/*": 20 })) }],
          failover: [],
          failoverPriority: [],
        },
        warmup: { durationMs: 30_000, minimumPercent: 10, aggression: 1.5 },
      },
      connectionPool: {
        tcp: {
          maxConnections: 100,
          connectTimeoutMs: 30,
          tcpKeepalive: { probes: 3, timeMs: 7_200_000, intervalMs: 75_000 },
          maxConnectionDurationMs: 5_400_000,
          idleTimeoutMs: 0,
        },
        http: { http1MaxPendingRequests: 1, maxRetries: 4, idleTimeoutMs: 3_600_000, h2UpgradePolicy: "UPGRADE" },
      },
      outlierDetection: { consecutive5xxErrors: 3, intervalMs: 10_000, baseEjectionTimeMs: 30_000 },
      tls: { mode: "MUTUAL", sni: "a.example.com", caCrl: "/etc/certs/crl.pem" },
    });
  });

  test("hashes by header, cookie, address or query parameter", () => {
    const hash = (port: number) => spec.trafficPolicy?.portLevelSettings.get(port)?.loadBalancer?.consistentHash;
    expect(hash(80)).toEqual({
      key: { type: "header", name: "x-user" },
      algorithm: { type: "ringHash", minimumRingSize: 2048 },
    });
    expect(hash(81)).toEqual({
      key: { type: "cookie", name: "user", path: "/", ttlMs: 0 },
      algorithm: { type: "maglev", tableSize: 65537 },
    });
    expect(hash(82)).toEqual({ key: { type: "sourceIp" }, algorithm: { type: "ringHash", minimumRingSize: 1024 } });
    expect(hash(83)?.key).toEqual({ type: "queryParameter", name: "user" });
  });

  test("has subsets, one without labels too", () => {
    expect(spec.subsets).toEqual([
      {
        name: "v1",
        labels: { version: "v1" },
        trafficPolicy: { loadBalancer: { simple: "PASSTHROUGH" }, portLevelSettings: new Map() },
      },
      { name: "all", labels: {} },
    ]);
  });
});

describe("a Gateway", () => {
  test("has its servers, with protocols in capitals and modes where they end TLS", () => {
    const { servers } = resource("gateway", "Gateway", "everything").spec;
    expect(servers[0]).toEqual({
      name: "redirecting",
      port: { number: 80, name: "http", protocol: "HTTP" },
      hosts: ["*"],
      bind: "0.0.0.0",
      tls: { httpsRedirect: true, subjectAltNames: [], cipherSuites: [] },
    });
    expect(servers[1]).toMatchObject({
      port: { protocol: "HTTPS" },
      tls: { mode: "SIMPLE", credentialName: "a-cert", minProtocolVersion: "TLSV1_2", httpsRedirect: false },
    });
    expect(servers[1]?.tls).not.toHaveProperty("maxProtocolVersion");
  });
});

describe("a ServiceEntry", () => {
  test("has its ports, endpoints and defaults", () => {
    expect(resource("service-entry", "ServiceEntry", "everything").spec).toMatchObject({
      ports: [
        { number: 80, protocol: "HTTP", name: "http", targetPort: 8080 },
        { number: 5432, protocol: "TCP", name: "postgres" },
        { number: 99, protocol: "TCP", name: "unsaid" },
      ],
      endpoints: [
        { address: "10.0.0.1", ports: new Map([["http", 8081]]), locality: "region/zone/subzone", weight: 3 },
        { network: "remote", ports: new Map(), labels: {} },
      ],
    });
    expect(resource("service-entry", "ServiceEntry", "wildcard").spec).toMatchObject({
      location: "MESH_EXTERNAL",
      resolution: "NONE",
    });
  });
});

describe("a Sidecar", () => {
  test("has its listeners", () => {
    expect(resource("sidecar", "Sidecar", "everything").spec).toMatchObject({
      workloadSelector: { app: "web" },
      ingress: [
        { port: { number: 9080, protocol: "HTTP", name: "http" }, captureMode: "NONE", tls: { mode: "SIMPLE" } },
        { port: { number: 9081, protocol: "TCP", name: "" }, captureMode: "DEFAULT" },
      ],
      egress: [{}, {}, { hosts: ["./*", "istio-system/*", "~/*", "prod/*.example.com"] }],
      outboundTrafficPolicy: { mode: "ALLOW_ANY" },
    });
  });

  test("reaches only known hosts where its outbound policy names no mode", () => {
    const kind = { apiVersion: "networking.istio.io/v1", kind: "Sidecar", metadata: { name: "a" } };
    const { resource } = decodeValue({ ...kind, spec: { outboundTrafficPolicy: {} } });
    expect(resource?.spec).toMatchObject({ outboundTrafficPolicy: { mode: "REGISTRY_ONLY" } });
  });
});

describe("Kubernetes' kinds", () => {
  test("a Service has its ports, with the port for a target that is not named", () => {
    expect(resource("kubernetes", "Service", "reviews").spec).toEqual({
      type: "ClusterIP",
      clusterIPs: ["10.96.0.1", "fd00::1"],
      headless: false,
      selector: { app: "reviews" },
      ports: [
        { name: "http", port: 9080, protocol: "TCP", appProtocol: "http", targetPort: "web" },
        { name: "metrics", port: 15020, protocol: "TCP", targetPort: 15020 },
      ],
      publishNotReadyAddresses: false,
    });
  });

  test("a headless Service has no address", () => {
    const { resource } = decodeValue({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "a" },
      spec: { clusterIP: "None", ports: [] },
    });
    expect(resource?.spec).toMatchObject({ headless: true, clusterIPs: [] });
  });

  test("an EndpointSlice has its TCP ports, and endpoints that are ready unless it says they are not", () => {
    expect(resource("kubernetes", "EndpointSlice", "reviews-abc").spec).toEqual({
      service: "reviews",
      addressType: "IPv4",
      ports: [{ name: "http", port: 9080 }],
      endpoints: [
        {
          addresses: ["10.0.0.1"],
          ready: true,
          zone: "zone-a",
          nodeName: "node-1",
          pod: { namespace: "prod", name: "reviews-1" },
        },
        { addresses: ["10.0.0.2"], ready: true },
        { addresses: ["10.0.0.3"], ready: false },
      ],
    });
  });

  test("a Pod has its addresses, ports and readiness", () => {
    expect(resource("kubernetes", "Pod", "reviews-1").spec).toEqual({
      ips: ["10.0.0.1", "fd00::2"],
      ready: true,
      serviceAccount: "reviews",
      nodeName: "node-1",
      ports: new Map([["web", 9080]]),
    });
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } };
    const ready = (status: object) => decodeValue({ ...pod, status }).resource?.spec;
    expect(ready({ conditions: [{ type: "Ready", status: "False" }] })).toMatchObject({ ready: false });
    expect(ready({ phase: "Pending" })).toMatchObject({ ready: false });
    expect(ready({ podIP: "10.0.0.1" })).toMatchObject({ ready: true });
  });
});

describe("decoding", () => {
  test("freezes everything, maps too", () => {
    const found = resource("virtual-service", "VirtualService", "everything");
    expect(Object.isFrozen(found.spec.http[0]?.match[0]?.headers)).toBe(true);
    const headers = found.spec.http[0]?.match[0]?.headers as Map<string, unknown>;
    expect(() => headers.set("x", 1)).toThrow(TypeError);
    expect(() => headers.delete("end-user")).toThrow(TypeError);
    expect(() => headers.clear()).toThrow(TypeError);
    expect(() => Object.assign(found.meta.labels, { x: "y" })).toThrow(TypeError);
  });

  test("changes nothing of the value it is given", () => {
    const value = structuredClone(virtualService) as unknown as { spec: { http: unknown } };
    value.spec.http = "wrong";
    const copy = structuredClone(value);
    decodeValue(value);
    expect(value).toEqual(copy);
  });

  test("keeps locating fields after decoding", () => {
    const [found] = decodeText(
      "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspec:\n  egress:\n  - hosts: [./*]\n",
    );
    expect(found?.locate(["spec", "egress", 0, "hosts", 0])).toEqual({ file: "f.yaml", line: 6, column: 13 });
  });

  test("suggests the field that was meant", () => {
    const message = (spec: object) => decodeValue({ ...virtualService, spec }).violations[0]?.message;
    expect(message({ ...virtualService.spec, gatways: [] })).toContain("Did you mean gateways?");
    expect(message({ ...virtualService.spec, export_to: [] })).toContain("Did you mean exportTo?");
    expect(message({ ...virtualService.spec, nonsense: [] })).not.toContain("Did you mean");
  });

  test("lists a thousand faults of an object and says that there are more", () => {
    const spec = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`field${index}`, index]));
    const { violations } = decodeValue({ ...virtualService, spec: { ...virtualService.spec, ...spec } });
    expect(violations).toHaveLength(1_001);
    expect(violations.at(-1)?.message).toContain("further ones are not listed");
  });

  test("takes an object with 10,000 hostile regular expressions", () => {
    const http = Array.from({ length: 10_000 }, (_, index) => ({
      match: [{ uri: { regex: `(?i)[\\pL\\pN]{900}${"(".repeat(index % 900)}` } }],
      route: [{ destination: { host: "b" } }],
    }));
    const { violations } = decodeValue({ ...virtualService, spec: { hosts: ["a"], http } });
    expect(violations.filter(({ code }) => code === "invalid-regex").length).toBe(1_000);
  });

  test("never throws, whatever it is given, and gives a resource exactly when there is no error", () => {
    const name = fc.constantFrom(
      "metadata",
      "spec",
      "http",
      "match",
      "route",
      "headers",
      "tls",
      "subsets",
      "servers",
      "__proto__",
      "constructor",
      "toString",
      "length",
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6, withCrossShrink: true },
        fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(fc.oneof(name, fc.string()), tie("tree"), { maxKeys: 6, noNullPrototype: true }),
      ),
    }));
    const kinds = ["VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "WorkloadEntry", "Sidecar"];
    const object = fc.record({
      apiVersion: fc.constantFrom("networking.istio.io/v1", "v1", "discovery.k8s.io/v1"),
      kind: fc.constantFrom(...kinds, "Service", "Pod", "Secret", "EndpointSlice"),
      metadata: fc.oneof(fc.constant({ name: "a" }), tree),
      spec: tree,
    });
    fc.assert(
      fc.property(fc.oneof(tree, object), (value) => {
        expectResourceOrFault(value);
      }),
      { numRuns: 5_000, seed: 3 },
    );
  });

  test("never throws on a valid object in which any one value was replaced", () => {
    const valid = ["virtual-service", "destination-rule", "gateway", "service-entry", "sidecar", "kubernetes"].flatMap(
      (file) => {
        const path = fileURLToPath(new URL(`./testdata/valid/${file}.yaml`, import.meta.url));
        return parseYaml(readFileSync(path, "utf8"), file).objects.map(({ value }) => value);
      },
    );
    for (const value of valid) {
      for (const replacement of [
        null,
        "",
        "x",
        -1,
        1e9,
        0.5,
        true,
        [],
        {},
        [null],
        { a: {} },
        [[]],
        { __proto__: null },
      ]) {
        for (const changed of replacements(value, replacement)) {
          expectResourceOrFault(changed);
        }
      }
    }
  });
});

function expectResourceOrFault(value: unknown): void {
  const { resource, violations } = decodeValue(value);
  const refused = violations.some(({ severity, code }) => severity === "error" || code === "unknown-kind");
  expect(resource === undefined, JSON.stringify(violations)).toBe(refused);
}

/** The value with each of its parts, one at a time, replaced. */
function* replacements(value: unknown, replacement: unknown): Generator<unknown> {
  yield replacement;
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    for (const changed of replacements(part, replacement)) {
      if (Array.isArray(value)) yield value.map((item, index) => (String(index) === name ? changed : item));
      else yield { ...value, [name]: changed };
    }
  }
}
