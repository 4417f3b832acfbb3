// VirtualService HTTP routing, on traffic through a real sidecar.
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let backends: Record<string, Backend>;

/** A ServiceEntry with one endpoint for each version. */
function service(host: string, versions: Record<string, Backend>): string {
  const endpoints = Object.entries(versions).map(
    ([version, { port }]) => `  - {address: 127.0.0.1, ports: {http: ${port}}, labels: {version: ${version}}}`,
  );
  const subsets = Object.keys(versions).map((version) => `  - {name: ${version}, labels: {version: ${version}}}`);
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host}}
spec:
  hosts: [${host}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
${endpoints.join("\n")}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}}
spec:
  host: ${host}
  subsets:
${subsets.join("\n")}
`;
}

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
  await mesh.apply("service.yaml", service("reviews", backends));
  sidecar = await mesh.startProxy({ name: "client", labels: { app: "client" } });
});

async function call(path: string, headers: Record<string, string> = {}): Promise<{ status: number; backend?: string }> {
  const host = "reviews.default.svc.cluster.local";
  const { status, body } = await ask(`http://${sidecar.address}:9080${path}`, { headers: { host, ...headers } });
  return status === 200 ? { status, backend: JSON.parse(body).backend } : { status };
}

describe("a VirtualService's http rules", () => {
  it("send a request to the subset of the first rule whose header matches", async () => {
    await mesh.apply(
      "reviews.yaml",
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
`,
    );
    expect(await call("/", { "end-user": "jason" })).toEqual({ status: 200, backend: "v2" });
    expect(await call("/", { "end-user": "Jason" })).toEqual({ status: 200, backend: "v1" });
    expect(await call("/")).toEqual({ status: 200, backend: "v1" });
  });
});
