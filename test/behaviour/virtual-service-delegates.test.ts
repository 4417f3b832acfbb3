// VirtualServices that hand over to others, and who sees them, on traffic through real sidecars.
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
const host = "reviews.default.svc.cluster.local";
let mesh: TestMesh;
let sidecar: TestProxy;
let elsewhere: TestProxy;

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const [v1, v2] = [await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  await mesh.apply("reviews.yaml", httpService("reviews", { v1, v2 }));
  [sidecar, elsewhere] = await Promise.all([
    mesh.startProxy({ name: "client" }),
    mesh.startProxy({ name: "elsewhere", namespace: "elsewhere" }),
  ]);
});

const TO_V1 = "[{destination: {host: reviews, subset: v1}}]";

function apply(rules: string): Promise<void> {
  return mesh.apply("rule.yaml", virtualService("reviews", rules));
}

function call(path = "/", proxy = sidecar) {
  return ask(`http://${proxy.address}:9080${path}`, { headers: { host } });
}

/** The request as the backend got it. */
async function received(path = "/") {
  return JSON.parse((await call(path)).body);
}

describe("a delegate", () => {
  const delegate = (namespace: string, http: string, more = "") => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: ${namespace}}
spec:
  ${more}
  http:
${http}`;
  const toV2 = `route: [{destination: {host: ${host}, subset: v2}}]`;

  it("brings the rules under the root's conditions, with what else the root says", async () => {
    covers("VirtualService", "http[].delegate", "http[].delegate.name");
    await apply(
      `  - name: outer
    match: [{uri: {prefix: /inner}}]
    delegate: {name: inner}
    headers: {request: {set: {x-by: root}}}
  - route: ${TO_V1}
`,
    );
    const named = '{response: {set: {x-route: "%ROUTE_NAME%"}}}';
    await mesh.apply(
      "inner.yaml",
      delegate(
        "default",
        `  - name: a\n    match: [{uri: {prefix: /inner/a}}]\n    headers: ${named}\n    ${toV2}
  - match: [{uri: {prefix: /other}}]\n    directResponse: {status: 418}
  - name: b\n    ${toV2}
`,
      ),
    );
    const { headers } = await call("/inner/a");
    expect(headers["x-route"]).toBe("outer-a");
    expect(await received("/inner/b")).toMatchObject({ backend: "v2", headers: { "x-by": "root" } });
    expect([(await received("/other")).backend, (await received("/x")).backend]).toEqual(["v1", "v1"]);
    await mesh.remove("inner.yaml");
    expect((await received("/inner/b")).backend).toBe("v1");
  });

  it("of another namespace must be exported to the root's", async () => {
    covers("VirtualService", "http[].delegate.namespace", "exportTo");
    await apply(`  - delegate: {name: inner, namespace: far}\n  - route: ${TO_V1}\n`);
    await mesh.apply("inner.yaml", delegate("far", `  - ${toV2}\n`));
    expect((await received()).backend).toBe("v2");
    await mesh.apply("inner.yaml", delegate("far", `  - ${toV2}\n`, 'exportTo: ["."]'));
    expect((await received()).backend).toBe("v1");
    await mesh.apply("inner.yaml", delegate("far", `  - ${toV2}\n`, "exportTo: [default]"));
    expect((await received()).backend).toBe("v2");
    await mesh.remove("inner.yaml");
  });
});

describe("exportTo", () => {
  it("keeps a VirtualService from sidecars of other namespaces", async () => {
    covers("VirtualService", "exportTo");
    const exported = (to: string) =>
      mesh.apply(
        "rule.yaml",
        virtualService("reviews", "  - directResponse: {status: 418}\n").replace("spec:", `spec:\n  exportTo: [${to}]`),
      );
    const statuses = async () => [(await call()).status, (await call("/", elsewhere)).status];
    await exported('"."');
    expect(await statuses()).toEqual([418, 200]);
    await exported("elsewhere");
    expect(await statuses()).toEqual([200, 418]);
    await exported('"*"');
    expect(await statuses()).toEqual([418, 418]);
  });
});
