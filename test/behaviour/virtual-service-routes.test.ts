// What VirtualService HTTP rules do with a request: rewrites, redirects, answers, headers, mirrors, CORS.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Backend, echo, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { sendMany } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const host = "reviews.default.svc.cluster.local";
let mesh: TestMesh;
let sidecar: TestProxy;
let v1: Backend;
let v2: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  v1 = await startBackend(scope, "v1");
  v2 = await startBackend(scope, "v2");
  await mesh.apply("reviews.yaml", httpService("reviews", { v1, v2 }));
  sidecar = await mesh.startProxy({ name: "client" });
});

beforeEach(() => {
  for (const backend of [v1, v2]) {
    backend.behave(echo);
    backend.requests.length = 0;
  }
});

const TO_V1 = "[{destination: {host: reviews, subset: v1}}]";

function apply(rules: string): Promise<void> {
  return mesh.apply("rule.yaml", virtualService("reviews", rules));
}

function call(path = "/", headers: Record<string, string> = {}, method = "GET") {
  return ask(`http://${sidecar.address}:9080${path}`, { method, headers: { host, ...headers } });
}

/** The request as the backend got it. */
async function received(path = "/", headers: Record<string, string> = {}) {
  return JSON.parse((await call(path, headers)).body);
}

describe("a rule's destinations", () => {
  it("get the share of their weights, of whatever sum", async () => {
    covers("VirtualService", "hosts", "http", "http[].route", "http[].route[].weight", "http[].route[].destination");
    covers("VirtualService", "http[].route[].destination.host", "http[].route[].destination.subset");
    const entry = (subset: string, weight: number) =>
      `    - {destination: {host: reviews, subset: ${subset}}, weight: ${weight}}\n`;
    const shares = async (one: number, two: number) => {
      await apply(`  - route:\n${entry("v1", one)}${entry("v2", two)}`);
      const name = ({ body }: { body: string }) => JSON.parse(body).backend;
      const url = `http://${sidecar.address}:9080/`;
      return (await sendMany(1_000, { url, headers: { host }, concurrency: 8, name })).outcomes;
    };
    // Six standard deviations of a binomial of 1,000 at 0.9.
    expect(Math.abs(((await shares(9, 1)).v1 ?? 0) - 900)).toBeLessThan(57);
    expect(await shares(0, 1)).toEqual({ v2: 1_000 });
  });
});

describe("a rewrite", () => {
  it("replaces the prefix or the whole path that matched, and keeps the query", async () => {
    covers("VirtualService", "http[].rewrite", "http[].rewrite.uri");
    await apply(
      `  - match: [{uri: {prefix: /api/}}, {uri: {exact: /old}}, {uri: {regex: "/n[0-9]+"}}]
    rewrite: {uri: /new/}
    route: ${TO_V1}
`,
    );
    expect((await received("/api/items?x=1")).path).toBe("/new/items?x=1");
    expect((await received("/old?x=1")).path).toBe("/new/?x=1");
    expect((await received("/n42?x=1")).path).toBe("/new/?x=1");
    await apply(
      `  - match: [{uri: {prefix: /API/}, ignoreUriCase: true}]\n    rewrite: {uri: /}\n    route: ${TO_V1}\n`,
    );
    expect((await received("/Api/items")).path).toBe("/items");
  });

  it("replaces what a regular expression finds in the path", async () => {
    covers("VirtualService", "http[].rewrite.uriRegexRewrite", "http[].rewrite.uriRegexRewrite.match");
    covers("VirtualService", "http[].rewrite.uriRegexRewrite.rewrite");
    const rewrite = String.raw`{match: "^/service/([^/]+)(/.*)$", rewrite: '\2/instance/\1'}`;
    await apply(`  - rewrite: {uriRegexRewrite: ${rewrite}}\n    route: ${TO_V1}\n`);
    expect((await received("/service/foo/v1/api?x=1")).path).toBe("/v1/api/instance/foo?x=1");
    expect((await received("/other")).path).toBe("/other");
  });

  it("replaces the authority", async () => {
    covers("VirtualService", "http[].rewrite.authority");
    await apply(`  - rewrite: {authority: inner.example.com}\n    route: ${TO_V1}\n`);
    expect((await received()).headers.host).toBe("inner.example.com");
  });
});

describe("a redirect", () => {
  const locationOf = async (redirect: string, path: string, headers: Record<string, string> = {}) => {
    await apply(`  - redirect: ${redirect}\n`);
    const answer = await call(path, headers);
    return `${answer.status} ${answer.headers.location}`;
  };

  it("replaces the path and keeps the query, with each status there is", async () => {
    covers("VirtualService", "http[].redirect", "http[].redirect.uri", "http[].redirect.redirectCode");
    expect(await locationOf("{uri: /new}", "/old?x=1")).toBe(`301 http://${host}/new?x=1`);
    for (const code of [301, 302, 303, 307, 308]) {
      expect(await locationOf(`{uri: /new, redirectCode: ${code}}`, "/old")).toBe(`${code} http://${host}/new`);
    }
    expect(v1.requests.length + v2.requests.length).toBe(0);
  });

  it("replaces the authority and the scheme", async () => {
    covers("VirtualService", "http[].redirect.authority", "http[].redirect.scheme");
    expect(await locationOf("{authority: a.example.com}", "/x")).toBe("301 http://a.example.com/x");
    expect(await locationOf("{scheme: https}", "/x")).toBe(`301 https://${host}/x`);
  });

  it("names a port, the request's own, or the scheme's", async () => {
    covers("VirtualService", "http[].redirect.port", "http[].redirect.derivePort");
    expect(await locationOf("{port: 8443}", "/x")).toBe(`301 http://${host}:8443/x`);
    expect(await locationOf("{authority: a.example.com, derivePort: FROM_REQUEST_PORT}", "/x")).toBe(
      "301 http://a.example.com:9080/x",
    );
    const ported = { host: `${host}:9080` };
    const byScheme = await locationOf("{scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}", "/x", ported);
    expect(new URL(byScheme.slice(4)).href).toBe(`https://${host}/x`);
    const plain = await locationOf("{uri: /y, derivePort: FROM_PROTOCOL_DEFAULT}", "/x", ported);
    expect(new URL(plain.slice(4)).href).toBe(`http://${host}/y`);
  });
});

describe("a directResponse", () => {
  it("answers by itself, with text, bytes or nothing", async () => {
    covers("VirtualService", "http[].directResponse", "http[].directResponse.status", "http[].directResponse.body");
    covers("VirtualService", "http[].directResponse.body.string", "http[].directResponse.body.bytes");
    const answerOf = async (response: string) => {
      await apply(`  - directResponse: ${response}\n    headers: {response: {set: {x-by: rule}}}\n`);
      const { status, body, headers } = await call();
      return [status, body, headers["x-by"]];
    };
    expect(await answerOf('{status: 503, body: {string: "down for repairs"}}')).toEqual([
      503,
      "down for repairs",
      "rule",
    ]);
    const bytes = Buffer.from("as bytes").toString("base64");
    expect(await answerOf(`{status: 200, body: {bytes: "${bytes}"}}`)).toEqual([200, "as bytes", "rule"]);
    expect(await answerOf("{status: 404}")).toEqual([404, "", "rule"]);
    expect(v1.requests.length + v2.requests.length).toBe(0);
  });
});

describe("header operations", () => {
  const operations = (set: string, add: string, remove: string) =>
    `{set: {x-set: ${set}}, add: {x-add: ${add}}, remove: [${remove}]}`;

  it("of a rule change requests and answers", async () => {
    covers("VirtualService", "http[].headers", "http[].headers.request", "http[].headers.response");
    covers("VirtualService", "http[].headers.request.set", "http[].headers.request.add");
    covers("VirtualService", "http[].headers.request.remove", "http[].headers.response.set");
    covers("VirtualService", "http[].headers.response.add", "http[].headers.response.remove");
    const both = operations("rule", "more", "x-gone");
    await apply(`  - route: ${TO_V1}\n    headers: {request: ${both}, response: ${both}}\n`);
    const extra = { "x-set": "own", "x-add": "own", "x-gone": "own" };
    v1.behave((request) => ({ status: 200, headers: extra, body: JSON.stringify(request) }));
    const { headers, body } = await call("/", extra);
    const seen = JSON.parse(body).headers;
    expect([seen["x-set"], seen["x-add"], seen["x-gone"]]).toEqual(["rule", "own, more", undefined]);
    expect([headers["x-set"], headers["x-add"], headers["x-gone"]]).toEqual(["rule", "own, more", undefined]);
  });

  it("of a destination come after the rule's", async () => {
    covers("VirtualService", "http[].route[].headers", "http[].route[].headers.request");
    covers("VirtualService", "http[].route[].headers.response", "http[].route[].headers.request.set");
    covers("VirtualService", "http[].route[].headers.request.add", "http[].route[].headers.request.remove");
    covers("VirtualService", "http[].route[].headers.response.set", "http[].route[].headers.response.add");
    covers("VirtualService", "http[].route[].headers.response.remove");
    const own = operations("destination", "destination", "x-gone");
    const general = "{set: {x-set: rule, x-gone: rule}, add: {x-add: rule}}";
    await apply(
      `  - headers: {request: ${general}, response: ${general}}
    route: [{destination: {host: reviews, subset: v1}, headers: {request: ${own}, response: ${own}}}]
`,
    );
    const { headers, body } = await call();
    const seen = JSON.parse(body).headers;
    expect([seen["x-set"], seen["x-add"], seen["x-gone"]]).toEqual(["destination", "rule, destination", undefined]);
    expect([headers["x-set"], headers["x-add"], headers["x-gone"]]).toEqual([
      "destination",
      "rule, destination",
      undefined,
    ]);
  });

  it("that set the authority rewrite it", async () => {
    await apply(`  - route: ${TO_V1}\n    headers: {request: {set: {Host: inner.example.com}}}\n`);
    expect((await received()).headers.host).toBe("inner.example.com");
  });
});

describe("a mirror", () => {
  const twoPorts = (admin: number, metrics: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ports}
spec:
  hosts: [ports.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9100, name: http-admin, protocol: HTTP}, {number: 9200, name: http-metrics, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http-admin: ${admin}, http-metrics: ${metrics}}}]
`;

  it("gets a copy of each request, whatever it answers", async () => {
    covers("VirtualService", "http[].mirror", "http[].mirror.host", "http[].mirror.subset");
    covers("VirtualService", "http[].mirror.port", "http[].mirror.port.number");
    v2.behave(() => ({ status: 500 }));
    await apply(`  - route: ${TO_V1}\n    mirror: {host: reviews, subset: v2}\n`);
    const { status, body } = await call("/mirrored?x=1");
    expect([status, JSON.parse(body).backend]).toEqual([200, "v1"]);
    const copy = await eventually("the copy comes", () => v2.requests[0]);
    expect([copy.path, copy.headers.host]).toEqual(["/mirrored?x=1", host]);
    const [admin, metrics] = [await startBackend(scope, "admin"), await startBackend(scope, "metrics")];
    await mesh.apply("ports.yaml", twoPorts(admin.port, metrics.port));
    await apply(`  - route: ${TO_V1}\n    mirror: {host: ports.example.com, port: {number: 9200}}\n`);
    await call("/to-a-port");
    await eventually("the copy comes to its port", () => metrics.requests.length === 1);
    expect(admin.requests).toEqual([]);
  });

  it("gets the share that its percentage says", async () => {
    covers("VirtualService", "http[].mirrorPercentage", "http[].mirrorPercentage.value");
    await apply(`  - route: ${TO_V1}\n    mirror: {host: reviews, subset: v2}\n    mirrorPercentage: {value: 25}\n`);
    await sendMany(800, { url: `http://${sidecar.address}:9080/`, headers: { host }, concurrency: 8 });
    const sent = () => sidecar.stat(`cluster.outbound|9080|v2|${host}.upstream_rq_completed`);
    const before = v2.requests.length;
    await eventually("copies under way arrive", async () => (await sent()) >= before);
    // Six standard deviations of a binomial of 800 at 0.25.
    expect(Math.abs(v2.requests.length - 200)).toBeLessThan(74);
  });

  it("takes the deprecated mirrorPercent", async () => {
    covers("VirtualService", "http[].mirrorPercent");
    const third = await startBackend(scope, "counted");
    await mesh.apply("counted.yaml", httpService("counted", { v1: third }));
    await apply(`  - route: ${TO_V1}\n    mirror: {host: counted}\n    mirrorPercent: 0\n`);
    for (let i = 0; i < 5; i++) await call();
    await apply(`  - route: ${TO_V1}\n    mirror: {host: counted}\n    mirrorPercent: 100\n`);
    for (let i = 0; i < 5; i++) await call("/all");
    await eventually("the copies come", () => third.requests.length === 5);
    expect(third.requests.map(({ path }) => path)).toEqual(Array(5).fill("/all"));
  });

  it("can be one of several, each with a percentage of its own", async () => {
    covers("VirtualService", "http[].mirrors", "http[].mirrors[].destination", "http[].mirrors[].percentage");
    covers("VirtualService", "http[].mirrors[].destination.host", "http[].mirrors[].destination.subset");
    covers("VirtualService", "http[].mirrors[].percentage.value", "http[].mirrors[].destination.port");
    covers("VirtualService", "http[].mirrors[].destination.port.number");
    const third = await startBackend(scope, "third");
    await mesh.apply("third.yaml", httpService("third", { v1: third }));
    await apply(
      `  - route: ${TO_V1}
    mirrors:
    - {destination: {host: reviews, subset: v2}, percentage: {value: 0}}
    - {destination: {host: third, port: {number: 9080}}}
`,
    );
    for (let i = 0; i < 20; i++) await call();
    await eventually("the copies come", () => third.requests.length === 20);
    expect([v1.requests.length, v2.requests.length]).toEqual([20, 0]);
  });
});

describe("a corsPolicy", () => {
  const preflight = (origin: string) => call("/", { origin, "access-control-request-method": "PUT" }, "OPTIONS");

  it("answers preflight requests of the origins that it allows", async () => {
    covers("VirtualService", "http[].corsPolicy", "http[].corsPolicy.allowOrigins", "http[].corsPolicy.allowMethods");
    covers("VirtualService", "http[].corsPolicy.allowOrigins[].exact", "http[].corsPolicy.allowOrigins[].prefix");
    covers("VirtualService", "http[].corsPolicy.allowOrigins[].regex", "http[].corsPolicy.allowHeaders");
    covers("VirtualService", "http[].corsPolicy.maxAge", "http[].corsPolicy.allowCredentials");
    await apply(
      `  - route: ${TO_V1}
    corsPolicy:
      allowOrigins: [{exact: "https://a.com"}, {prefix: "https://b."}, {regex: "https://[cd]\\\\.com"}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-one, x-two]
      maxAge: 24h
      allowCredentials: true
`,
    );
    for (const origin of ["https://a.com", "https://b.org", "https://d.com"]) {
      const { status, headers } = await preflight(origin);
      expect([status, headers["access-control-allow-origin"]], origin).toEqual([200, origin]);
      expect(headers).toMatchObject({
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-one,x-two",
        "access-control-max-age": "86400",
        "access-control-allow-credentials": "true",
      });
    }
    expect(v1.requests).toEqual([]);
    expect((await preflight("https://e.com")).headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("names the origin, and the headers to expose, in other answers", async () => {
    covers("VirtualService", "http[].corsPolicy.exposeHeaders");
    const policy = '{allowOrigins: [{exact: "https://a.com"}], exposeHeaders: [x-three]}';
    await apply(`  - route: ${TO_V1}\n    corsPolicy: ${policy}\n`);
    const { headers } = await call("/", { origin: "https://a.com" });
    expect([headers["access-control-allow-origin"], headers["access-control-expose-headers"]]).toEqual([
      "https://a.com",
      "x-three",
    ]);
    const foreign = await call("/", { origin: "https://e.com" });
    expect([foreign.status, foreign.headers["access-control-allow-origin"]]).toEqual([200, undefined]);
  });

  it("takes the deprecated allowOrigin, which names origins in whole", async () => {
    covers("VirtualService", "http[].corsPolicy.allowOrigin");
    await apply(`  - route: ${TO_V1}\n    corsPolicy: {allowOrigin: ["https://a.com"], allowMethods: [PUT]}\n`);
    const origins = ["https://a.com", "https://a.com.evil"];
    const allowed = await Promise.all(origins.map(preflight));
    expect(allowed.map(({ headers }) => headers["access-control-allow-origin"])).toEqual(["https://a.com", undefined]);
  });

  it("passes preflight requests of other origins on, unless unmatchedPreflights says not to", async () => {
    covers("VirtualService", "http[].corsPolicy.unmatchedPreflights");
    const policy = (more: string) =>
      apply(`  - route: ${TO_V1}\n    corsPolicy: {allowOrigins: [{exact: "https://a.com"}]${more}}\n`);
    await policy("");
    await preflight("https://e.com");
    await policy(", unmatchedPreflights: FORWARD");
    await preflight("https://e.com");
    expect(v1.requests.length).toBe(2);
    await policy(", unmatchedPreflights: IGNORE");
    const { status, headers } = await preflight("https://e.com");
    expect([status, headers["access-control-allow-origin"], v1.requests.length]).toEqual([200, undefined, 2]);
  });
});
