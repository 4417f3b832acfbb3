// The conditions of VirtualService HTTP rules, one by one, on traffic through real sidecars.
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const host = "reviews.default.svc.cluster.local";
let mesh: TestMesh;
let sidecar: TestProxy;
let other: TestProxy;
let gateway: TestProxy;
let v1: Backend;
let v2: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  v1 = await startBackend(scope, "v1");
  v2 = await startBackend(scope, "v2");
  await mesh.apply("reviews.yaml", httpService("reviews", { v1, v2 }));
  await mesh.apply("second-port.yaml", SECOND_PORT(v1.port));
  await mesh.apply("gateway.yaml", GATEWAY);
  [sidecar, other, gateway] = await Promise.all([
    mesh.startProxy({ name: "client", labels: { app: "client", tier: "web" } }),
    mesh.startProxy({ name: "other", namespace: "elsewhere", labels: { app: "other" } }),
    mesh.startProxy({ name: "gw", role: "router", labels: { app: "gw" } }),
  ]);
});

/** A service on a port of its own, so that sidecars accept HTTP there. */
const SECOND_PORT = (port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: second}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9081, name: http-second, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http-second: ${port}}}]
`;

const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {app: gw}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
`;

const TO = (subset: string) => `[{destination: {host: reviews, subset: ${subset}, port: {number: 9080}}}]`;

/** What fits a match goes to v2, all else to v1. */
function rules(match: string): string {
  return `  - match: [${match}]\n    route: ${TO("v2")}\n  - route: ${TO("v1")}\n`;
}

function where(match: string): Promise<void> {
  return mesh.apply("rule.yaml", virtualService("reviews", rules(match)));
}

async function call(path = "/", headers: Record<string, string> = {}, method = "GET", proxy = sidecar, port = 9080) {
  const { status, body } = await ask(`http://${proxy.address}:${port}${path}`, {
    method,
    headers: { host, ...headers },
  });
  return status === 200 ? JSON.parse(body).backend : `status ${status}`;
}

/** Each of the calls' answers, in order. */
function all(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map((path) => call(path)));
}

describe("a match of uri", () => {
  it("compares the whole path or its beginning, without the query", async () => {
    covers("VirtualService", "http[].match", "http[].match[].uri", "http[].match[].uri.exact");
    covers("VirtualService", "http[].match[].uri.prefix");
    await where("{uri: {exact: /a}}");
    expect(await all(["/a", "/a?x=1", "/a/", "/A", "/ab"])).toEqual(["v2", "v2", "v1", "v1", "v1"]);
    await where("{uri: {prefix: /a}}");
    expect(await all(["/a", "/ab/c", "/b/a"])).toEqual(["v2", "v2", "v1"]);
  });

  it("takes regular expressions that fit the whole path", async () => {
    covers("VirtualService", "http[].match[].uri.regex");
    await where("{uri: {regex: '/v[0-9]+/(books|films)(/.*)?'}}");
    expect(await all(["/v1/books", "/v22/films/x?y=z"])).toEqual(["v2", "v2"]);
    expect(await all(["/v/books", "/v1/bookshop", "/x/v1/books"])).toEqual(["v1", "v1", "v1"]);
    await where("{uri: {regex: '(?i)/upper'}}");
    expect(await all(["/UpPeR", "/upper/"])).toEqual(["v2", "v1"]);
  });

  it("passes over case where ignoreUriCase says so", async () => {
    covers("VirtualService", "http[].match[].ignoreUriCase");
    await where("{uri: {exact: /Admin}, ignoreUriCase: true}");
    expect(await all(["/aDMIN", "/admin/x"])).toEqual(["v2", "v1"]);
    await where("{uri: {prefix: /Admin}, ignoreUriCase: true}");
    expect(await all(["/aDMIN/x", "/user"])).toEqual(["v2", "v1"]);
  });
});

describe("a match of headers", () => {
  const withHeader = (value: string) => call("/", { "x-tag": value });

  it("compares values exactly, by their beginning, by expression, or asks for presence", async () => {
    covers("VirtualService", "http[].match[].headers", "http[].match[].headers{}.exact");
    covers("VirtualService", "http[].match[].headers{}.prefix", "http[].match[].headers{}.regex");
    await where("{headers: {X-Tag: {exact: one}}}");
    expect([await withHeader("one"), await withHeader("One"), await call()]).toEqual(["v2", "v1", "v1"]);
    await where("{headers: {x-tag: {prefix: one}}}");
    expect([await withHeader("one-two"), await withHeader("two-one")]).toEqual(["v2", "v1"]);
    await where("{headers: {x-tag: {regex: 'o.e'}}}");
    expect([await withHeader("ole"), await withHeader("oles")]).toEqual(["v2", "v1"]);
    await where("{headers: {x-tag: {}}}");
    expect([await withHeader("anything"), await call()]).toEqual(["v2", "v1"]);
  });

  it("holds for requests without the header, or with another value, when withoutHeaders names it", async () => {
    covers("VirtualService", "http[].match[].withoutHeaders", "http[].match[].withoutHeaders{}.exact");
    covers("VirtualService", "http[].match[].withoutHeaders{}.prefix", "http[].match[].withoutHeaders{}.regex");
    await where("{withoutHeaders: {x-tag: {}}}");
    expect([await call(), await withHeader("any")]).toEqual(["v2", "v1"]);
    await where("{withoutHeaders: {x-tag: {exact: one}}}");
    expect([await call(), await withHeader("two"), await withHeader("one")]).toEqual(["v2", "v2", "v1"]);
    await where("{withoutHeaders: {x-tag: {prefix: on}}}");
    expect([await withHeader("two"), await withHeader("one")]).toEqual(["v2", "v1"]);
    await where("{withoutHeaders: {x-tag: {regex: '[a-z]+'}}}");
    expect([await withHeader("2"), await withHeader("one")]).toEqual(["v2", "v1"]);
  });
});

describe("a match of the rest of a request's head", () => {
  it("compares query parameters", async () => {
    covers("VirtualService", "http[].match[].queryParams", "http[].match[].queryParams{}.exact");
    covers("VirtualService", "http[].match[].queryParams{}.prefix", "http[].match[].queryParams{}.regex");
    await where("{queryParams: {v: {exact: '2'}}}");
    expect(await all(["/?v=2", "/?a=b&v=2", "/?v=22", "/?w=2", "/"])).toEqual(["v2", "v2", "v1", "v1", "v1"]);
    await where("{queryParams: {v: {prefix: '2'}}}");
    expect(await all(["/?v=22", "/?v=12"])).toEqual(["v2", "v1"]);
    await where("{queryParams: {v: {regex: '[0-9]{2}'}}}");
    expect(await all(["/?v=22", "/?v=222"])).toEqual(["v2", "v1"]);
    await where("{queryParams: {v: {}}}");
    expect(await all(["/?v=anything", "/?w=1"])).toEqual(["v2", "v1"]);
  });

  it("compares the method", async () => {
    covers("VirtualService", "http[].match[].method", "http[].match[].method.exact");
    covers("VirtualService", "http[].match[].method.prefix", "http[].match[].method.regex");
    for (const way of ["exact: PUT", "prefix: PU", "regex: PUT|PATCH"]) {
      await where(`{method: {${way}}}`);
      expect([await call("/", {}, "PUT"), await call()], way).toEqual(["v2", "v1"]);
    }
  });

  it("compares the authority", async () => {
    covers("VirtualService", "http[].match[].authority", "http[].match[].authority.exact");
    covers("VirtualService", "http[].match[].authority.prefix", "http[].match[].authority.regex");
    for (const way of ["exact: reviews", "prefix: revie", "regex: 'rev[a-z]*'"]) {
      await where(`{authority: {${way}}}`);
      const expected = way.startsWith("prefix") ? "v2" : "v1";
      expect([await call("/", { host: "reviews" }), await call()], way).toEqual(["v2", expected]);
    }
  });

  it("compares the scheme", async () => {
    covers("VirtualService", "http[].match[].scheme", "http[].match[].scheme.exact");
    covers("VirtualService", "http[].match[].scheme.prefix", "http[].match[].scheme.regex");
    for (const [way, expected] of [
      ["exact: http", "v2"],
      ["exact: https", "v1"],
      ["prefix: ht", "v2"],
      ["prefix: https", "v1"],
      ["regex: https?", "v2"],
      ["regex: ws+", "v1"],
    ]) {
      await where(`{scheme: {${way}}}`);
      expect(await call(), way).toBe(expected);
    }
  });

  it("holds when any of several alternatives does, and an alternative when all its conditions do", async () => {
    await where("{uri: {exact: /a}, headers: {x-tag: {exact: one}}}, {uri: {exact: /b}}");
    expect(await call("/a", { "x-tag": "one" })).toBe("v2");
    expect(await all(["/a", "/b", "/c"])).toEqual(["v1", "v2", "v1"]);
  });
});

describe("a match of where a request comes from or goes to", () => {
  it("compares the port that was called", async () => {
    covers("VirtualService", "http[].match[].port", "http[].route[].destination.port");
    covers("VirtualService", "http[].route[].destination.port.number");
    await where("{port: 9081}");
    expect([await call("/", {}, "GET", sidecar, 9081), await call()]).toEqual(["v2", "v1"]);
  });

  it("compares the client's labels", async () => {
    covers("VirtualService", "http[].match[].sourceLabels");
    await where("{sourceLabels: {app: client, tier: web}}");
    expect([await call(), await call("/", {}, "GET", other)]).toEqual(["v2", "v1"]);
    await where("{sourceLabels: {app: client, tier: db}}");
    expect(await call()).toBe("v1");
  });

  it("compares the client's namespace", async () => {
    covers("VirtualService", "http[].match[].sourceNamespace");
    await where("{sourceNamespace: elsewhere}");
    expect([await call(), await call("/", {}, "GET", other)]).toEqual(["v1", "v2"]);
  });

  it("holds at the gateways that it names alone, of those of the VirtualService", async () => {
    covers("VirtualService", "gateways", "http[].match[].gateways");
    const bound = (gateways: string, match: string) =>
      mesh.apply(
        "rule.yaml",
        virtualService("reviews", rules(match))
          .replace("spec:", `spec:\n  gateways: [${gateways}]`)
          .replace("[reviews]", `[${host}]`),
      );
    // Without a rule, the service's endpoints take turns.
    const nativeAnswers = async () => [...new Set(await all(["/", "/", "/", "/"]))].sort();
    const both = async () => [await call(), await call("/", {}, "GET", gateway, 8080)];
    await bound("mesh, gw", "{gateways: [gw]}");
    expect(await both()).toEqual(["v1", "v2"]);
    await bound("mesh, default/gw", "{gateways: [mesh]}");
    expect(await both()).toEqual(["v2", "v1"]);
    await bound("gw", "{uri: {prefix: /}}");
    expect([await call("/", {}, "GET", gateway, 8080), await nativeAnswers()]).toEqual(["v2", ["v1", "v2"]]);
    await bound("mesh", "{uri: {prefix: /}}");
    expect(await both()).toEqual(["v2", "status 404"]);
  });
});

describe("names", () => {
  it("of a rule and of the alternative that matched are the route's name", async () => {
    covers("VirtualService", "http[].name", "http[].match[].name");
    const rule = (match: string) =>
      `  - name: by-path\n    match: [${match}]\n    route: ${TO("v2")}\n    headers: {response: {set: {x-route: "%ROUTE_NAME%"}}}\n`;
    await mesh.apply("rule.yaml", virtualService("reviews", rule("{name: a, uri: {exact: /a}}, {uri: {exact: /b}}")));
    const routeOf = async (path: string) =>
      (await ask(`http://${sidecar.address}:9080${path}`, { headers: { host } })).headers["x-route"];
    expect([await routeOf("/a"), await routeOf("/b")]).toEqual(["by-path.a", "by-path"]);
  });

  it("given as statPrefix keep statistics of the route apart", async () => {
    covers("VirtualService", "http[].match[].statPrefix");
    await where("{uri: {prefix: /counted}, statPrefix: counted}");
    expect(await all(["/counted", "/counted/twice", "/other"])).toEqual(["v2", "v2", "v1"]);
    const { body } = await sidecar.get("/stats?filter=route\\.counted\\.upstream_rq_completed");
    expect(body).toMatch(/: 2$/m);
  });
});
