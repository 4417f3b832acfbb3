// One resource that a real Envoy rejects: what came with it lands, who rejected what is told, and nothing is sent again.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { LISTENER } from "../../controlplane/xds/order.js";
import { writeFiles } from "../cli/support/served.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { headgate } from "../harness/command.js";
import { httpService, serviceEntry, virtualService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { proxyViewsOf, startSidecar } from "./sidecar.js";

const scope = testScope();
const QUIET_MILLIS = 3_000;
const UPDATES = ["listener_manager.lds", "cluster_manager.cds"].flatMap((name) => [
  `${name}.update_attempt`,
  `${name}.update_success`,
  `${name}.update_rejected`,
]);

describe("one rejected resource", () => {
  it("holds up nothing that came with it, shows in the status, and is not sent again", async () => {
    const directory = await scope.directory();
    const v1 = await startBackend(scope, "v1");
    const v2 = await startBackend(scope, "v2");
    const to = (subset: string) =>
      virtualService("reviews", `  - route: [{destination: {host: reviews, subset: ${subset}}}]\n`);
    await writeFiles(directory, { "reviews.yaml": httpService("reviews", { v1, v2 }), "rule.yaml": to("v1") });
    const served = await startServe(scope, ["--config", directory, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    const address = await loopbackAddress(scope);
    // Someone has the port that the listener of the service "taken" needs, so Envoy cannot bind it.
    const occupant = await startBackend(scope, "occupant", { host: address });
    const envoy = await startSidecar(scope, { ads: served.ads, address, name: "client" });
    const backendOf = async (host: string) => {
      const { status, body } = await ask(`http://${address}:9080/`, { headers: { host: `${host}.default` } });
      return status === 200 && (JSON.parse(body).backend as string);
    };
    const proxy = async () => (await proxyViewsOf(served.admin)).proxies[0];
    const updates = () => Promise.all(UPDATES.map((name) => envoy.stat(name)));
    expect(await backendOf("reviews")).toBe("v1");

    await writeFiles(directory, {
      "taken.yaml": serviceEntry("taken", { v1 }).replace("number: 9080", `number: ${occupant.port}`),
      "fresh.yaml": serviceEntry("fresh", { v1 }),
      "rule.yaml": to("v2"),
    });
    await eventually("the listener is rejected", async () => (await proxy())?.types[LISTENER]?.state === "rejected");
    await eventually("the changed host lands", async () => (await backendOf("reviews")) === "v2");
    await eventually("the new host lands", async () => (await backendOf("fresh")) === "v1");

    const { code, stdout } = await headgate("status", "-o", "json", "--admin", served.admin);
    const told = JSON.parse(stdout) as { readonly proxies: readonly ProxyView[] };
    expect(code).toBe(1);
    expect(told.proxies[0]).toMatchObject({ name: "client", state: "rejected" });
    const rejected = Object.entries(told.proxies[0]?.types ?? {}).filter(([, { state }]) => state === "rejected");
    expect(rejected.map(([typeUrl]) => typeUrl)).toEqual([LISTENER]);
    expect(rejected[0]?.[1].lastError?.message).toContain(`${address}:${occupant.port}`);

    const before = await updates();
    await sleep(QUIET_MILLIS);
    expect(await updates()).toEqual(before);
    expect(await envoy.stat("listener_manager.lds.update_rejected")).toBe(1);

    await rm(join(directory, "taken.yaml"));
    await eventually("the status is clear again", async () => (await proxy())?.state === "synced");
    expect(await backendOf("reviews")).toBe("v2");
  });
});
