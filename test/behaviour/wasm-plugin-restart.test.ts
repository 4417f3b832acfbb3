// A control plane that restarts under load, without the network: no request misses the plugin that it should pass.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { EXTENSION_CONFIG } from "../../controlplane/xds/order.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { tracingPlugin } from "../harness/filter-modules.js";
import { startLoad } from "../harness/load.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

describe("kill -9 of the control plane, when the module's server is gone too", () => {
  it("lets no request by a plugin, and refuses none", async () => {
    const directory = await scope.directory();
    const backend = await startBackend(scope, "a");
    const wasm = await tracingPlugin();
    const modules = createServer((_, response) => response.end(wasm)).listen(0, "127.0.0.1");
    scope.use({ close: () => modules.close() });
    await once(modules, "listening");
    const { port: modulesPort } = modules.address() as AddressInfo;
    await writeFile(join(directory, "policies.yaml"), POLICIES(backend.port, modulesPort));
    const ads = `127.0.0.1:${await freePort()}`;
    const cache = join(await scope.directory(), "fetched");
    const args = ["--config", directory, "--ads", ads, "--admin", "127.0.0.1:0", "--module-cache", cache];
    const first = await startServe(scope, args);
    const address = await loopbackAddress(scope);
    const [host = "", port = ""] = ads.split(":");
    const identity = { role: "sidecar" as const, name: "client", namespace: "default", labels: {} };
    const envoy = await startTestEnvoy(
      scope,
      createBootstrap(
        { ...identity, addresses: [address], interceptionMode: "NONE", unprivileged: true },
        { ads: { host, port: Number(port) } },
      ),
    );
    const url = `http://${address}:9080/`;
    const headers = { host: "a.example.com" };
    const name = ({ status, body }: { status: number; body: string }) =>
      status === 200 ? String(JSON.parse(body).headers["x-trail"]) : String(status);
    await eventually("the plugin runs", async () => name(await ask(url, { headers })) === "p");
    const load = startLoad({ url, headers, concurrency: 4, name });

    modules.close();
    await first.kill();
    await eventually("the proxy notices", async () => (await envoy.stat("control_plane.connected_state")) === 0);
    const restarted = await startServe(scope, args);
    const proxies = async () =>
      ((await (await fetch(`http://${restarted.admin}/proxies`)).json()) as { proxies: ProxyView[] }).proxies;
    // A stream that has just begun lacks nothing that it has asked for.
    await eventually("the proxy is back and in step", async () =>
      (await proxies()).some(({ state, types }) => state === "synced" && types[EXTENSION_CONFIG] !== undefined),
    );
    const { broken, outcomes } = await load.stop();
    expect(broken).toEqual([]);
    expect(Object.keys(outcomes)).toEqual(["p"]);
    expect(await envoy.stat("listener_manager.listener_modified")).toBe(0);
  });
});

const POLICIES = (port: number, modulesPort: number) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example.com]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p}
spec: {url: "http://127.0.0.1:${modulesPort}/plugin.wasm", imagePullPolicy: Always, pluginConfig: {name: p}}
`;
