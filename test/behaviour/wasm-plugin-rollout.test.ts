// Versions of a filter that a WasmPlugin names without one: chosen proxy by proxy, and taken back when they fail.
import { describe, expect, it } from "vitest";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { withCustomSection } from "../../controlplane/registry/wasm-sections.js";
import { DirectoryRollouts } from "../../controlplane/rollout/directory-rollouts.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { refusedByEnvoy, TRIAL_THREAD, tracingPlugin } from "../harness/filter-modules.js";
import { startTestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

describe("a WasmPlugin of a filter without a version", () => {
  it.each(["FAIL_RELOAD", "FAIL_OPEN", "FAIL_CLOSE"])(
    "runs the chosen one, and goes back by itself from one whose VM fails or that Envoy refuses, with %s",
    { timeout: 60_000 },
    async (strategy) => {
      const filters = await scope.directory();
      const mesh = await startTestMesh(scope, { filters });
      const backend = await startBackend(scope, "a");
      await mesh.apply("service.yaml", SERVICE(backend.port));
      await mesh.apply("plugin.yaml", PLUGIN(strategy));
      const [other, ...users] = [
        await mesh.startProxy({ name: "other" }),
        await mesh.startProxy({ name: "one", labels: { app: "user" } }),
        await mesh.startProxy({ name: "two", labels: { app: "user" } }),
      ];
      expect((await mesh.violations()).map(({ code, message }) => `${code} ${message}`)).toEqual([
        expect.stringMatching(/^unknown-module .*headgate filter use tracer@VERSION/),
      ]);
      for (const version of ["1", "2"]) await push(filters, version, await tracingPlugin());
      await use(filters, "1", [1]);
      await eventually("both users run it", async () => (await trails(users)).every((trail) => trail === "p"));
      expect((await trails([other])).every((trail) => trail === undefined)).toBe(true);
      await eventually(
        "the rollout ends",
        async () => (await mesh.filters()).rollouts[0]?.state?.phase === "completed",
      );
      expect(await mesh.violations()).toEqual([]);

      await use(filters, "2", [0.5, 1]);
      const versions = async () => {
        const [view] = (await mesh.filters()).others;
        return view?.proxies.map(({ running }) => running).sort();
      };
      await eventually("one of the two has it", async () => (await versions())?.join() === "1,2");
      const [view] = (await mesh.filters()).others;
      const canary = users.find(({ id }) =>
        view?.proxies.some((of) => of.id === id && of.running === "2"),
      ) as TestProxy;
      // One trap must do: with FAIL_OPEN none follows.
      expect((await request(canary, { "x-trap": "now" })).status).toBe(503);
      await eventually("a trap takes it back", async () => {
        await request(canary);
        return (await mesh.filters()).rollouts[0]?.state?.phase === "rolled-back";
      });
      expect((await mesh.filters()).rollouts[0]?.state?.reason).toContain("VM failed");
      await eventually("both have what they had", async () => (await versions())?.join() === "1,1");

      await push(filters, "3", await refusedByEnvoy());
      await use(filters, "3", [0.5, 1]);
      const refused = await eventually("it is refused", async () =>
        (await mesh.filters()).rollouts.find(
          ({ plan, state }) => plan.version === "3" && state?.phase === "rolled-back",
        ),
      );
      expect(refused.state?.reason).toMatch(/ rejected it: .*wasmplugin\/default\.p/);
      await eventually("both users run it", async () => (await trails(users)).every((trail) => trail === "p"));
    },
  );
});

/** In other bytes for each version. */
async function push(filters: string, version: string, plugin: Uint8Array): Promise<void> {
  const wasm = withCustomSection(plugin, "headgate.test", Buffer.from(version));
  const request = { name: "tracer", version, by: "a test", wasm, thread: TRIAL_THREAD };
  expect(await new FilterRegistry(new DirectoryVersions(filters)).push(request)).toMatchObject({ value: { version } });
}

async function use(filters: string, version: string, steps: readonly number[]): Promise<void> {
  const plan = { filter: "tracer", version, selector: {}, steps, holdMillis: steps.length > 1 ? 30_000 : 100 };
  await new DirectoryRollouts(filters).create({ ...plan, at: new Date().toISOString(), by: "a test" });
}

function request(proxy: TestProxy, headers: Record<string, string> = {}) {
  return ask(`http://${proxy.address}:9080/`, { headers: { host: "a.example.com", ...headers } });
}

async function trails(proxies: readonly (TestProxy | undefined)[]) {
  const present = proxies.filter((proxy) => proxy !== undefined);
  const answers = await Promise.all(present.map((proxy) => request(proxy)));
  return answers.map(({ status, body }) => (status === 200 ? JSON.parse(body).headers["x-trail"] : status));
}

const PLUGIN = (strategy: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p}
spec:
  selector: {matchLabels: {app: user}}
  url: headgate://tracer
  failStrategy: ${strategy}
  pluginConfig: {name: p}
`;

const SERVICE = (port: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
`;
