// Load balancing as DestinationRules ask for it, and round robin where they do not, through a real sidecar.
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
const host = "my-svc.default.svc.cluster.local";

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const endpoints: string[] = [];
  for (const version of ["v1", "v2", "v3"]) {
    for (const instance of ["a", "b"]) {
      const { port } = await startBackend(scope, `${version}-${instance}`);
      endpoints.push(`  - {address: 127.0.0.1, ports: {http: ${port}}, labels: {version: ${version}}}`);
    }
  }
  await mesh.apply(
    "my-svc.yaml",
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: my-svc}
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
${endpoints.join("\n")}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: my-svc}
spec:
  hosts: [my-svc]
  http:
  - match: [{headers: {version: {exact: v1}}}]
    route: [{destination: {host: my-svc, subset: v1}}]
  - match: [{headers: {version: {exact: v2}}}]
    route: [{destination: {host: my-svc, subset: v2}}]
  - route: [{destination: {host: my-svc, subset: v3}}]
`,
  );
  await mesh.apply("rule.yaml", rule("{loadBalancer: {simple: RANDOM}}", "{loadBalancer: {simple: ROUND_ROBIN}}"));
  sidecar = await mesh.startProxy({ name: "client" });
});

function rule(policy: string, ofV2: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: my-svc}
spec:
  host: my-svc
  trafficPolicy: ${policy}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: ${ofV2}}
  - {name: v3, labels: {version: v3}}
`;
}

async function answers(version: string, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) {
    const { body } = await ask(`http://${sidecar.address}:9080/`, { headers: { host, version } });
    seen.push(JSON.parse(body).backend);
  }
  return seen;
}

function repeats(seen: readonly string[]): number {
  return seen.filter((backend, index) => index > 0 && backend === seen[index - 1]).length;
}

describe("a subset", () => {
  it("with a load balancer of its own uses that: ROUND_ROBIN takes turns", async () => {
    covers("DestinationRule", "subsets[].trafficPolicy.loadBalancer.simple");
    const seen = await answers("v2", 40);
    expect(new Set(seen)).toEqual(new Set(["v2-a", "v2-b"]));
    expect(repeats(seen)).toBe(0);
  });

  it("without one uses the rule's: RANDOM does not take turns", async () => {
    covers("DestinationRule", "trafficPolicy.loadBalancer.simple");
    for (const version of ["v1", "v3"]) {
      const seen = await answers(version, 40);
      expect(new Set(seen)).toEqual(new Set([`${version}-a`, `${version}-b`]));
      // All 39 steps alternating by chance has probability 2 ** -39.
      expect(repeats(seen)).toBeGreaterThan(0);
    }
  });

  it("takes turns when no rule says how", async () => {
    await mesh.apply("rule.yaml", rule("{}", "{}"));
    expect(repeats(await answers("v1", 40))).toBe(0);
  });
});
