// VirtualService HTTP routing on sidecars, on traffic through a real one.
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { sendMany, startLoad } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { httpService, serviceEntry, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let v1: Backend;
let v2: Backend;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  v1 = await startBackend(scope, "v1");
  v2 = await startBackend(scope, "v2");
  await mesh.apply("reviews.yaml", httpService("reviews", { v1, v2 }));
  await mesh.apply("ratings.yaml", serviceEntry("ratings", { v1: v2 }));
  sidecar = await mesh.startProxy({ name: "client", labels: { app: "client" } });
});

function to(host: string, path = "/", headers: Record<string, string> = {}) {
  return ask(`http://${sidecar.address}:9080${path}`, { headers: { host, ...headers } });
}

async function backendOf(host: string, path = "/", headers: Record<string, string> = {}): Promise<string> {
  const { status, body } = await to(host, path, headers);
  return status === 200 ? JSON.parse(body).backend : `status ${status}`;
}

/** The ids of all decided routes that the sidecar holds. */
async function routeIds(): Promise<string[]> {
  const { body } = await sidecar.get("/config_dump?resource=dynamic_route_configs");
  const maps = [...body.matchAll(/"exact_match_map": \{\s*"map": \{([\s\S]*?)"on_no_match"/g)].map(
    ([, map = ""]) => map,
  );
  return maps.flatMap((map) => [...map.matchAll(/"([\w-]{22})": \{\s*"action"/g)].map(([, id = ""]) => id));
}

function toSubset(subset: string): string {
  return `  - route: [{destination: {host: reviews, subset: ${subset}}}]\n`;
}

const BY_USER = `  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
${toSubset("v1")}`;

describe("a sidecar", () => {
  it("reaches a service that no rule speaks of by each of its names, with and without a port", async () => {
    covers(
      "ServiceEntry",
      "hosts",
      "location",
      "resolution",
      "ports[].number",
      "ports[].name",
      "ports[].protocol",
      "endpoints[].address",
      "endpoints[].ports",
    );
    for (const host of ["ratings", "ratings.default", "ratings.default.svc", "ratings.default.svc.cluster.local"]) {
      expect(await backendOf(host), host).toBe("v2");
    }
    expect(await backendOf("ratings.default.svc.cluster.local:9080")).toBe("v2");
    expect(await backendOf("RATINGS.default.svc.cluster.local.")).toBe("v2");
  });

  it("answers 502 for a host that is not in the mesh", async () => {
    expect((await to("nowhere.example.com")).status).toBe(502);
  });

  it("passes the Host header on as the client sent it", async () => {
    const { body } = await to("ratings.default.svc.cluster.local:9080");
    expect(JSON.parse(body).headers.host).toBe("ratings.default.svc.cluster.local:9080");
  });
});

describe("the first rule that matches", () => {
  const host = "reviews.default.svc.cluster.local";

  it("decides by a header's exact value", async () => {
    covers(
      "VirtualService",
      "hosts",
      "http[].match[].headers{}.exact",
      "http[].route[].destination.host",
      "http[].route[].destination.subset",
    );
    covers("DestinationRule", "host", "subsets[].name", "subsets[].labels");
    covers("ServiceEntry", "endpoints[].labels");
    await mesh.apply("rule.yaml", virtualService("reviews", BY_USER));
    expect(await backendOf(host, "/", { "end-user": "jason" })).toBe("v2");
    expect(await backendOf(host, "/", { "end-user": "Jason" })).toBe("v1");
    expect(await backendOf(host, "/", { "end-user": "" })).toBe("v1");
    expect(await backendOf(host)).toBe("v1");
  });

  it("decides by the path's prefix, however the path is spelled", async () => {
    covers("VirtualService", "http[].match[].uri.prefix");
    const rules = `  - match: [{uri: {prefix: /admin}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n`;
    await mesh.apply("rule.yaml", virtualService("reviews", rules + toSubset("v1")));
    for (const path of ["/admin", "/admin/x?y=1", "//admin", "/%61dmin", "/x/../admin", "/x/%2e%2e/admin"]) {
      expect(await backendOf(host, path), path).toBe("v2");
    }
    expect(await backendOf(host, "/public?/admin")).toBe("v1");
    // An escaped slash is unescaped by a redirect, which leads to the rule.
    const { status, headers } = await to(host, "/%2fadmin");
    expect([status, headers.location]).toEqual([307, "/admin"]);
  });

  it("decides by method, by authority, and by a header's mere presence", async () => {
    covers(
      "VirtualService",
      "http[].match[].method.exact",
      "http[].match[].authority.prefix",
      "http[].match[].headers",
    );
    const match = (condition: string) =>
      virtualService(
        "reviews",
        `  - match: [${condition}]\n    route: [{destination: {host: reviews, subset: v2}}]\n${toSubset("v1")}`,
      );
    await mesh.apply("rule.yaml", match("{method: {exact: POST}}"));
    const posted = await ask(`http://${sidecar.address}:9080/`, { method: "POST", headers: { host }, body: "x" });
    expect([JSON.parse(posted.body).backend, await backendOf(host)]).toEqual(["v2", "v1"]);
    await mesh.apply("rule.yaml", match("{authority: {prefix: reviews.default.svc.}}"));
    expect(await backendOf(host)).toBe("v2");
    await mesh.apply("rule.yaml", match("{headers: {x-canary: {}}}"));
    expect([await backendOf(host, "/", { "x-canary": "" }), await backendOf(host)]).toEqual(["v2", "v1"]);
  });

  it("answers 404 when there is none", async () => {
    await mesh.apply(
      "rule.yaml",
      virtualService(
        "reviews",
        `  - match: [{uri: {exact: /only}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n`,
      ),
    );
    expect(await backendOf(host, "/only")).toBe("v2");
    expect(await backendOf(host, "/other")).toBe("status 404");
  });

  it("splits by weight: 75 to 25 within 2 points over 10,000 requests", async () => {
    covers("VirtualService", "http[].route[].weight");
    await mesh.apply(
      "rule.yaml",
      virtualService(
        "reviews",
        `  - route:
    - {destination: {host: reviews, subset: v1}, weight: 75}
    - {destination: {host: reviews, subset: v2}, weight: 25}
`,
      ),
    );
    const name = ({ body }: { body: string }) => JSON.parse(body).backend;
    const { broken, outcomes } = await sendMany(10_000, {
      url: `http://${sidecar.address}:9080/`,
      headers: { host },
      concurrency: 16,
      name,
    });
    expect(broken).toEqual([]);
    expect(Object.keys(outcomes).sort()).toEqual(["v1", "v2"]);
    expect(Math.abs((outcomes.v1 ?? 0) - 7_500)).toBeLessThan(200);
  });

  it("answers 503 for a missing subset's share alone, and says so before", async () => {
    const rules = `  - match: [{headers: {end-user: {exact: jason}}}]\n    route: [{destination: {host: reviews, subset: v9}}]\n`;
    await mesh.apply("rule.yaml", virtualService("reviews", rules + toSubset("v1")));
    expect(await backendOf(host, "/", { "end-user": "jason" })).toBe("status 503");
    expect(await backendOf(host)).toBe("v1");
    const found = (await mesh.violations()).find((violation) => violation.code === "unknown-subset");
    expect(found).toMatchObject({
      kind: "VirtualService",
      path: "spec.http[0].route[0].destination.subset",
      position: { line: 8 },
    });
  });

  it("does not change because of anything that a request carries", async () => {
    await mesh.apply("rule.yaml", virtualService("reviews", BY_USER));
    const ids = await routeIds();
    expect(ids.length).toBeGreaterThan(1);
    for (const name of ["x-headgate", "x-headgate-route", "x-headgate-image", "wasm.route", "route"]) {
      for (const value of [...ids, "outbound|9080|v2|reviews.default.svc.cluster.local", "v2"]) {
        expect(await backendOf(host, "/", { [name]: value }), `${name}: ${value}`).toBe("v1");
      }
    }
  });

  it("can be repointed 200 times under load without a failed or a wrong request", async () => {
    await mesh.apply("rule.yaml", virtualService("reviews", toSubset("v1")));
    const load = startLoad({
      url: `http://${sidecar.address}:9080/`,
      headers: { host, "x-keep": "1" },
      concurrency: 8,
      name: ({ status, body }) => (status === 200 ? `200 ${JSON.parse(body).backend}` : `${status} ${body}`),
    });
    for (let round = 0; round < 200; round++) {
      await mesh.apply("rule.yaml", virtualService("reviews", toSubset(round % 2 === 0 ? "v2" : "v1")));
      // Every proxy has acknowledged, so what is asked from here on gets the new answer.
      expect(await backendOf(host)).toBe(round % 2 === 0 ? "v2" : "v1");
    }
    const { broken, outcomes } = await load.stop();
    expect(broken).toEqual([]);
    expect(Object.keys(outcomes).sort()).toEqual(["200 v1", "200 v2"]);
  }, 180_000);
});
