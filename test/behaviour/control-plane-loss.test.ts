// The control plane is killed under load: traffic goes on, and proxies find their way back.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { EXTENSION_CONFIG } from "../../controlplane/xds/order.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { startLoad } from "../harness/load.js";
import { httpService, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

describe("kill -9 of the control plane under load", () => {
  it("fails no request; after its restart proxies resynchronise, keep their listeners, and take new policies", async () => {
    const directory = await scope.directory();
    const v1 = await startBackend(scope, "v1");
    const v2 = await startBackend(scope, "v2");
    const to = (subset: string) =>
      virtualService("reviews", `  - route: [{destination: {host: reviews, subset: ${subset}}}]\n`);
    await writeFile(join(directory, "service.yaml"), httpService("reviews", { v1, v2 }));
    await writeFile(join(directory, "rule.yaml"), to("v1"));
    const ads = `127.0.0.1:${await freePort()}`;
    const args = ["--config", directory, "--ads", ads, "--admin", "127.0.0.1:0"];
    const first = await startServe(scope, args);
    const address = await loopbackAddress(scope);
    const [host = "", port = ""] = ads.split(":");
    const envoy = await startTestEnvoy(
      scope,
      createBootstrap(
        {
          role: "sidecar",
          name: "client",
          namespace: "default",
          addresses: [address],
          labels: {},
          interceptionMode: "NONE",
          unprivileged: true,
        },
        { ads: { host, port: Number(port) } },
      ),
    );
    const load = startLoad({
      url: `http://${address}:9080/`,
      headers: { host: "reviews.default.svc.cluster.local" },
      concurrency: 8,
      name: ({ status, body }) => (status === 200 ? JSON.parse(body).backend : `${status}`),
    });

    await first.kill();
    await eventually("the proxy notices", async () => (await envoy.stat("control_plane.connected_state")) === 0);
    const restarted = await startServe(scope, args);
    const proxies = async () =>
      ((await (await fetch(`http://${restarted.admin}/proxies`)).json()) as { proxies: ProxyView[] }).proxies;
    // A stream that has just begun lacks nothing that it has asked for.
    await eventually("the proxy is back and in step", async () =>
      (await proxies()).some(({ state, types }) => state === "synced" && types[EXTENSION_CONFIG] !== undefined),
    );
    expect(await envoy.stat("listener_manager.listener_modified")).toBe(0);
    expect(await envoy.stat("listener_manager.listener_removed")).toBe(0);

    await writeFile(join(directory, "rule.yaml"), to("v2"));
    await eventually("a new policy arrives", () => v2.requests.length > 0);
    const { broken, outcomes } = await load.stop();
    expect(broken).toEqual([]);
    expect(Object.keys(outcomes).sort()).toEqual(["v1", "v2"]);
  });
});
