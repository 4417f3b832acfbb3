// The rules for single values: durations, hosts, names, header values.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CheckName, runCheck } from "../../controlplane/resources/checks.js";
import { parseDuration } from "../../controlplane/resources/duration.js";
import { HostList } from "../../controlplane/resources/hosts.js";

describe("durations", () => {
  test.each([
    ["10s", 10_000],
    ["0.5s", 500],
    ["1h30m", 5_400_000],
    ["2ms", 2],
    ["1m0.25s", 60_250],
    ["1500us", 1.5],
    ["1µs", 0.001],
    ["0s", 0],
    ["0", 0],
    ["1.s", 1_000],
  ])("%s is %d milliseconds", (text, millis) => {
    expect(parseDuration(text)).toBe(millis);
  });

  test.each(["", "10", "s", "-1s", "+1s", " 1s", "1 s", "1d", "1s2", "1e3s", ".5s", "1S", `${"1s".repeat(40)}`])(
    "%j is none",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe("single values", () => {
  const valid: [CheckName, (string | number)[]][] = [
    ["host", ["a", "a.b", "a.b.", "*.b", "*", "*x.y", "*-x.y", "A.Example.COM", "xn--bcher-kva.example", "1a.b"]],
    ["hostOrAddress", ["10.0.0.1", "::1", "a.b"]],
    ["fqdn", ["a", "a.b.c", "a.b."]],
    ["namespacedHost", ["./*", "*/*", "~/*", "ns/a.b", "ns/*.b", "*/10.0.0.1"]],
    ["namespacedHostOrHost", ["a.b", "*", "ns/*"]],
    ["subnet", ["10.0.0.0/8", "10.0.0.1", "::/0", "fd00::1/128", "0.0.0.0/0"]],
    ["bind", ["0.0.0.0", "::", "unix:///run/x.sock", "unix://@abstract"]],
    ["defaultEndpoint", ["127.0.0.1:80", "0.0.0.0:65535", "[::1]:1", "[::]:80", ":80", "unix:///x"]],
    ["labelKey", ["a", "A.b_c-d", "example.com/a"]],
    ["labelValue", ["", "a", "A.b_c-d", "1"]],
    ["exportTo", [".", "*", "~", "ns"]],
    ["gatewayReference", ["mesh", "gate", "ns/gate", "gate.ns.svc.cluster.local"]],
    [
      "headerValue",
      ["", "a b\tc", "%REQ(x-a?x-b)%", "%START_TIME(%Y %s)%%%", "a%PROTOCOL%b%REQ(:path):20%", "100%%", "ü"],
    ],
    ["headerToRequest", [":authority", "host", "x-a", "X_b"]],
    ["retryOn", ["5xx", "5xx,503, reset", "429"]],
    ["locality", ["a", "a/b", "a/b/c"]],
    ["port", [1, 65_535]],
    ["percentage", [0, 100, 0.0001]],
    ["weight", [0, 2_147_483_647]],
  ];
  test.each(valid)("%s admits %j", (check, values) => {
    for (const value of values) expect(runCheck(check, value), String(value)).toBeUndefined();
  });

  const invalid: [CheckName, string, (string | number)[]][] = [
    [
      "host",
      "invalid-host",
      ["", ".", "a..b", "a.*", "**.b", "a*.b", "-a.b", "a_b", "a b", "a/b", "1.2", "x".repeat(64)],
    ],
    ["host", "invalid-host", [`${"a.".repeat(130)}b`, "*.", "*.*", "http://a", "a:80"]],
    ["destinationHost", "invalid-host", ["*"]],
    ["namespacedHost", "invalid-host", ["a.b", "/a", "ns/", "a/b/c", "Ns/a"]],
    ["namespacedHost", "unsupported-field", ["~ns/a"]],
    ["subnet", "invalid-host", ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/8/8", "a"]],
    ["bind", "invalid-host", ["localhost", "unix://run/x", "unix:///run/", "unix://"]],
    ["defaultEndpoint", "invalid-host", ["10.0.0.1:80", "127.0.0.1", "localhost:80"]],
    ["defaultEndpoint", "invalid-port", ["127.0.0.1:0", "127.0.0.1:65536"]],
    ["labelKey", "invalid-name", ["", "/a", "a/b/c", "A.com/a", "-a", "a b"]],
    ["labelValue", "invalid-name", ["-a", "a b", "a/b", "*", "x".repeat(64)]],
    ["gatewayReference", "invalid-name", ["", "a/b/c", "/a", "a/", "A"]],
    [
      "headerValue",
      "invalid-value",
      ["50%", "%", "%A", "%A(", "%A(%s%", "%a%", "%start time%", "a\nb", "a\rb", "\u0000", "%%%"],
    ],
    ["headerToRequest", "invalid-value", ["", ":path", "a b", "a:"]],
    ["headerToRemoveOrRespond", "invalid-value", ["host", "Host", ":authority"]],
    ["retryOn", "invalid-value", ["5XX", "600", "5xx,,reset", "whenever"]],
    ["locality", "invalid-value", ["", "a//b", "a/b/c/d"]],
    ["port", "invalid-port", [0, -1, 65_536]],
    ["percentage", "invalid-percentage", [-0.1, 100.1]],
    ["weight", "invalid-weight", [-1, 2_147_483_648]],
  ];
  test.each(invalid)("%s gives %s for %j", (check, code, values) => {
    for (const value of values) expect(runCheck(check, value)?.code, String(value)).toBe(code);
  });

  test("messages stay short, whatever the value", () => {
    for (const [check] of valid) {
      const message = runCheck(check, "\u0000".repeat(10_000))?.message ?? "";
      expect(message.length, check).toBeLessThan(800);
    }
  });
});

describe("a list of hosts", () => {
  const label = fc.constantFrom("a", "b", "ab");
  const host = fc.oneof(
    fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join(".")),
    fc.array(label, { minLength: 0, maxLength: 2 }).map((labels) => ["*", ...labels].join(".")),
    fc.tuple(label, label).map(([first, second]) => `*${first}.${second}`),
  );
  const covers = (outer: string, inner: string) =>
    outer.startsWith("*") ? inner.endsWith(outer.slice(1)) : outer === inner;

  test("finds what covers or overlaps a host, as comparing with each would", () => {
    fc.assert(
      fc.property(fc.array(host, { maxLength: 6 }), host, (hosts, candidate) => {
        const list = new HostList(hosts);
        expect(list.covering(candidate) !== undefined).toBe(hosts.some((other) => covers(other, candidate)));
        const overlap = hosts.some((other) => covers(other, candidate) || covers(candidate, other));
        expect(list.overlapping(candidate) !== undefined).toBe(overlap);
      }),
      { numRuns: 2_000, seed: 5 },
    );
  });

  test("compares without case", () => {
    expect(new HostList(["A.example.com"]).covering("a.EXAMPLE.com")).toBe(0);
    expect(new HostList(["*.Example.com"]).covering("a.example.COM")).toBe(0);
  });
});
