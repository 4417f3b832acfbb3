// WasmPlugins out of image registries, with pull secrets, and what is left of them when a registry and a control plane go.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { tracingPlugin } from "../harness/filter-modules.js";
import { startTestMesh, type TestMesh } from "../harness/mesh.js";
import { createScope, type Scope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { compressed, OCI, pushImage } from "../modules/images.js";
import { startTestRegistry } from "../modules/test-registry.js";

const scope = testScope();
const WHO = { username: "puller", password: "pass" };
const AUTHORIZATION = { authorization: `Basic ${Buffer.from("puller:pass").toString("base64")}` };
let backend: Backend;

beforeAll(async () => {
  backend = await startBackend(scope, "a");
});

/** A mesh with one sidecar, through which `trail` calls the backend. */
async function startMesh(own: Scope, moduleCache?: string) {
  const mesh = await startTestMesh(own, moduleCache === undefined ? {} : { moduleCache });
  await mesh.apply("services.yaml", SERVICE(backend.port));
  return mesh;
}

async function startClient(mesh: TestMesh) {
  const client = await mesh.startProxy({ name: "client" });
  return async () => {
    const { status, body } = await ask(`http://${client.address}:9080/`, { headers: { host: "a.example.com" } });
    return status === 200 ? JSON.parse(body).headers["x-trail"] : status;
  };
}

describe("a WasmPlugin", () => {
  it("pulls its image with the credentials of a secret, once there is one", async () => {
    covers("WasmPlugin", "imagePullSecret");
    covers("TrafficExtension", "wasm.imagePullSecret");
    const registry = await startTestRegistry(scope, { credentials: { ...WHO, scheme: "basic" } });
    const layer = await compressed(scope, { "plugin.wasm": await tracingPlugin() }, OCI);
    await pushImage(registry.host, "filters/hello", "1", [layer], OCI, AUTHORIZATION);
    const mesh = await startMesh(scope);
    const trail = await startClient(mesh);
    const url = `oci://${registry.host}/filters/hello:1`;
    await mesh.apply(
      "plugin.yaml",
      `${PLUGIN(`url: "${url}", imagePullSecret: pull, pluginConfig: {name: plugin}, phase: AUTHN`)}---
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: e}
spec: {wasm: {url: "${url}", imagePullSecret: pull, pluginConfig: {name: extension}}}
`,
    );
    await eventually("requests are refused", async () => (await trail()) === 503);
    const codes = async () => (await mesh.violations()).map(({ code, message }) => `${code} ${message}`).join("\n");
    await eventually("the missing secret is told of", async () => (await codes()).includes("Secret pull"));
    const auths = { [registry.host]: { auth: Buffer.from("puller:pass").toString("base64") } };
    const secret = JSON.stringify(JSON.stringify({ auths }));
    await mesh.apply("secret.yaml", `${SECRET}stringData: {.dockerconfigjson: ${secret}}\n`);
    await eventually("both run", async () => (await trail()) === "plugin,extension");
    expect(await mesh.violations()).toEqual([]);
  });

  it("is served from the cache by a control plane that starts when the registry is gone", async () => {
    const [first, second, gone] = [createScope(), createScope(), createScope()];
    const moduleCache = join(await scope.directory(), "fetched");
    try {
      const registry = await startTestRegistry(gone);
      const layer = { mediaType: "application/wasm", content: await tracingPlugin() };
      await pushImage(registry.host, "filters/hello", "latest", [layer]);
      const plugin = PLUGIN(`url: "oci://${registry.host}/filters/hello", pluginConfig: {name: kept}`);
      const before = await startMesh(first, moduleCache);
      await before.apply("plugin.yaml", plugin);
      const trailBefore = await startClient(before);
      await eventually("the plugin runs", async () => (await trailBefore()) === "kept");
      await first.close();
      await gone.close();
      const after = await startMesh(second, moduleCache);
      await after.apply("plugin.yaml", plugin);
      const trail = await startClient(after);
      await eventually("the plugin runs again", async () => (await trail()) === "kept");
      // The tag latest is always pulled, so that it could not be is told.
      await eventually("the registry's end is told of", async () => (await after.violations()).length === 1);
      expect((await after.violations())[0]).toMatchObject({
        code: "unknown-module",
        message: expect.stringMatching(/what it had before serves on/),
      });
    } finally {
      await Promise.all([first.close(), second.close(), gone.close()]);
    }
  });

  it("whose cached module is damaged fetches it anew", async () => {
    const [first, second] = [createScope(), createScope()];
    const moduleCache = join(await scope.directory(), "fetched");
    const registry = await startTestRegistry(scope);
    await pushImage(registry.host, "filters/hello", "1", [
      { mediaType: "application/wasm", content: await tracingPlugin() },
    ]);
    const plugin = PLUGIN(`url: "oci://${registry.host}/filters/hello:1", pluginConfig: {name: p}`);
    try {
      for (const own of [first, second]) {
        const mesh = await startMesh(own, moduleCache);
        await mesh.apply("plugin.yaml", plugin);
        const trail = await startClient(mesh);
        await eventually("the plugin runs", async () => (await trail()) === "p");
        const manifests = registry.requests.filter((line) => line === "GET /v2/filters/hello/manifests/1");
        expect(manifests).toHaveLength(own === first ? 1 : 2);
        await own.close();
        await damageAll(join(moduleCache, "modules"));
      }
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });
});

async function damageAll(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await writeFile(join(directory, name), "damaged");
}

const PLUGIN = (spec: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p}
spec: {${spec}}
`;

const SECRET = `apiVersion: v1
kind: Secret
metadata: {name: pull}
type: kubernetes.io/dockerconfigjson
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
