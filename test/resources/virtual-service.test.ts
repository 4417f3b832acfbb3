// What a decoded VirtualService looks like.
import { describe, expect, test } from "vitest";
import { decodeText, decodeValue, SMALL_VIRTUAL_SERVICE, validResource } from "./decoding.js";

describe("metadata", () => {
  test("is taken over, with the time of creation in milliseconds", () => {
    expect(validResource("virtual-service", "VirtualService", "everything").meta).toEqual({
      name: "everything",
      namespace: "prod",
      labels: { team: "shop", "example.com/tier": "1" },
      annotations: { note: "any text: at all" },
      createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    });
  });

  test("has the default namespace, no labels and no time where the object says nothing", () => {
    const { resource } = decodeValue(SMALL_VIRTUAL_SERVICE);
    expect(resource?.meta).toEqual({ name: "a", namespace: "fallback", labels: {}, annotations: {}, createdAt: 0 });
  });
});

describe("a VirtualService", () => {
  const { spec } = validResource("virtual-service", "VirtualService", "everything");
  const [all, redirected, older, teapot, bytes, delegated, rewritten, last] = spec.http;

  test("has its hosts, gateways and namespaces as written", () => {
    expect(spec.hosts).toEqual(["reviews", "reviews.prod.svc.cluster.local", "*.example.com", "10.0.0.1"]);
    expect(spec.gateways).toEqual(["mesh", "gate", "infra/gate"]);
    expect(spec.exportTo).toEqual([".", "other"]);
  });

  test("is bound to the mesh where it names no gateways", () => {
    const { resource } = decodeValue(SMALL_VIRTUAL_SERVICE);
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
    const { tls, tcp } = validResource("virtual-service", "VirtualService", "l4").spec;
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
