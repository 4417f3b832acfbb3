// StagedRollouts on traffic through a real sidecar: sticky users, growing weights, ramps by the clock, pinned testers.
import { Agent } from "node:http";
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
const host = "reviews.default.svc.cluster.local";
const users = Array.from({ length: 400 }, (_, index) => `user-${index}`);
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
scope.use({ close: () => agent.destroy() });

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  const backends = { v1: await startBackend(scope, "v1"), v2: await startBackend(scope, "v2") };
  await mesh.apply("service.yaml", httpService("reviews", backends));
  sidecar = await mesh.startProxy({ name: "client" });
});

/** The weights of v1 and v2, and a rollout's spec as YAML flow. */
async function apply(v1: number, v2: number, rollout: string): Promise<void> {
  await mesh.apply(
    "rollout.yaml",
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: split
    route:
    - {destination: {host: reviews, subset: v1}, weight: ${v1}}
    - {destination: {host: reviews, subset: v2}, weight: ${v2}}
---
apiVersion: headgate.dev/v1alpha1
kind: StagedRollout
metadata: {name: reviews}
spec: {virtualService: reviews, route: split, ${rollout}}
`,
  );
  expect(await mesh.violations()).toEqual([]);
}

async function backendOf(headers: Record<string, string>, path = "/"): Promise<string> {
  const { status, body } = await ask(`http://${sidecar.address}:9080${path}`, { headers: { host, ...headers }, agent });
  return status === 200 ? JSON.parse(body).backend : `status ${status}`;
}

/** Which of the users get v2 now. */
async function usersOfV2(): Promise<Set<string>> {
  const seen = await Promise.all(users.map((user) => backendOf({ "x-user": user })));
  return new Set(users.filter((_, index) => seen[index] === "v2"));
}

describe("a StagedRollout", () => {
  it("keeps each user with one version, and moves users one way only while the weight grows", async () => {
    let before = new Set<string>();
    for (const weight of [10, 30, 70]) {
      await apply(100 - weight, weight, "sticky: {header: x-user}");
      const now = await usersOfV2();
      expect(await usersOfV2()).toEqual(now);
      expect([...before].filter((user) => !now.has(user))).toEqual([]);
      // Six standard deviations of a binomial of 400.
      expect(Math.abs(now.size - 4 * weight)).toBeLessThan(6 * Math.sqrt(4 * weight * (1 - weight / 100)) + 1);
      before = now;
    }
  });

  it("knows users by cookie and by query parameter, too", async () => {
    const answers = async (ask: (user: string) => Promise<string>) => {
      const first = await Promise.all(users.slice(0, 40).map(ask));
      expect(await Promise.all(users.slice(0, 40).map(ask))).toEqual(first);
      expect(new Set(first)).toEqual(new Set(["v1", "v2"]));
    };
    await apply(50, 50, "sticky: {cookie: session}");
    await answers((user) => backendOf({ cookie: `a=b; session=${user}; c=d` }));
    await apply(50, 50, "sticky: {queryParameter: user}");
    await answers((user) => backendOf({}, `/?x=1&user=${user}`));
    await apply(50, 50, "sticky: {sourceAddress: true}");
    expect(new Set(await Promise.all(users.slice(0, 20).map(() => backendOf({})))).size).toBe(1);
  });

  it("moves by the clock: before, on and after a ramp", async () => {
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    const ramp = (from: number, to: number) =>
      `sticky: {header: x-user}, ramp: [{at: "${at(from)}", weights: {v1: 100, v2: 0}}, {at: "${at(to)}", weights: {v1: 0, v2: 100}}]`;
    await apply(50, 50, ramp(1, 2));
    expect((await usersOfV2()).size).toBe(0);
    await apply(50, 50, ramp(-2, -1));
    expect((await usersOfV2()).size).toBe(400);
    await apply(50, 50, ramp(-1, 1));
    expect(Math.abs((await usersOfV2()).size - 200)).toBeLessThan(61);
  });

  it("goes on by itself, without a push", async () => {
    const [start, end] = [Date.now(), Date.now() + 2_500];
    const step = (at: number, v2: number) =>
      `{at: "${new Date(at).toISOString()}", weights: {v1: ${100 - v2}, v2: ${v2}}}`;
    await apply(50, 50, `ramp: [${step(start, 0)}, ${step(end, 100)}]`);
    // Even when four fifths of the ramp are gone by then, that nobody gets v1 has a probability of 2e-10.
    const first = await Promise.all(users.slice(0, 100).map(() => backendOf({})));
    expect(first).toContain("v1");
    await eventually("the ramp ends", () => Date.now() > end);
    expect(new Set(await Promise.all(users.slice(0, 100).map(() => backendOf({}))))).toEqual(new Set(["v2"]));
  });

  it("pins a tester to a version", async () => {
    await apply(100, 0, 'sticky: {header: x-user}, override: {header: x-version, values: {canary: v2, "1": v1}}');
    expect(await backendOf({ "x-user": "a", "x-version": "canary" })).toBe("v2");
    expect(await backendOf({ "x-user": "a", "x-version": "other" })).toBe("v1");
  });

  it("that names what is not there is told, and leaves the rule as it is", async () => {
    const bad = `apiVersion: headgate.dev/v1alpha1
kind: StagedRollout
metadata: {name: stray}
spec: {virtualService: reviews, route: nothing, sticky: {header: x-user}}
`;
    await mesh.apply("stray.yaml", bad);
    expect((await mesh.violations()).map(({ code, path }) => `${code} ${path}`)).toEqual(["unknown-route spec.route"]);
    await mesh.remove("stray.yaml");
  });
});
