// What decoded objects of the other kinds look like.
import { describe, expect, test } from "vitest";
import { decodeValue, validResource } from "./decoding.js";

describe("a DestinationRule", () => {
  const { spec } = validResource("destination-rule", "DestinationRule", "everything");

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
    const { servers } = validResource("gateway", "Gateway", "everything").spec;
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
    expect(validResource("service-entry", "ServiceEntry", "everything").spec).toMatchObject({
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
    expect(validResource("service-entry", "ServiceEntry", "wildcard").spec).toMatchObject({
      location: "MESH_EXTERNAL",
      resolution: "NONE",
    });
  });
});

describe("a Sidecar", () => {
  test("has its listeners", () => {
    expect(validResource("sidecar", "Sidecar", "everything").spec).toMatchObject({
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
    expect(validResource("kubernetes", "Service", "reviews").spec).toEqual({
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
    expect(validResource("kubernetes", "EndpointSlice", "reviews-abc").spec).toEqual({
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
    expect(validResource("kubernetes", "Pod", "reviews-1").spec).toEqual({
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
