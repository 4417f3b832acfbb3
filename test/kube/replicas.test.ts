// Two control planes on one cluster, as its processes are run: equal snapshots, and a proxy that goes from one to the other.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { ProxyView } from "../../controlplane/admin/proxies.js";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { runHeadgate } from "../harness/headgate.js";
import { startLoad } from "../harness/load.js";
import type { TestProxy } from "../harness/mesh.js";
import { type Relay, startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installCustomResources } from "./support/custom-resources.js";
import { ownAddress } from "./support/own-address.js";
import { answered, openShop, SHOP_PORT } from "./support/shop.js";

const portOf = (address: string) => Number(address.split(":").at(-1));

describe.skipIf("error" in kubeBinaries || ownAddress === undefined)("headgate serve --kube", () => {
  const scope = testScope();
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installCustomResources(cluster.client);
    await openShop(scope, cluster);
    await cluster.kubectl(["apply", "-f", "-"], POLICIES);
  });

  const serve = (...more: string[]) => {
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    return startServe(scope, ["--kube", "--kubeconfig", cluster.kubeconfig, ...addresses, ...more]);
  };

  const ask = async ({ admin }: ServeProcess, path: string) => (await fetch(`http://${admin}${path}`)).text();

  async function startSidecar(relay: Relay): Promise<TestProxy> {
    const address = await loopbackAddress(scope);
    const identity = { role: "sidecar", name: "client", namespace: "default", labels: { app: "client" } } as const;
    const node = { ...identity, addresses: [address] as const, interceptionMode: "NONE", unprivileged: true } as const;
    const bootstrap = createBootstrap(node, { ads: { host: "127.0.0.1", port: relay.port } });
    const envoy = await startTestEnvoy(scope, bootstrap);
    return { ...envoy, address, id: `sidecar~${address}~client.default~default.svc.cluster.local` };
  }

  const isSynced = async (replica: ServeProcess, { id }: TestProxy) => {
    const { proxies } = JSON.parse(await ask(replica, "/proxies")) as { proxies: ProxyView[] };
    return proxies.some((proxy) => proxy.id === id && proxy.connected && proxy.state === "synced");
  };
  const snapshotOf = async (replica: ServeProcess, { id }: TestProxy) => {
    const { types } = JSON.parse(await ask(replica, `/config?proxy=${encodeURIComponent(id)}`));
    return types as { resources: number }[];
  };

  test("gives equal snapshots on each replica; when one is killed its proxies go to another, which sends nothing", async () => {
    const [first, second] = await Promise.all([serve(), serve()]);
    const relay = await startRelay(scope, portOf(first.ads));
    const sidecar = await startSidecar(relay);
    await answered(sidecar, "v1", { headers: { user: "jason" } });
    await eventually("the sidecar is in step", () => isSynced(first, sidecar));
    const snapshot = await snapshotOf(first, sidecar);
    expect(snapshot.reduce((sum, { resources }) => sum + resources, 0)).toBeGreaterThan(5);
    const load = startLoad({
      url: `http://${sidecar.address}:${SHOP_PORT}/`,
      headers: { host: "shop" },
      concurrency: 2,
    });

    await first.kill();
    relay.leadTo(portOf(second.ads));
    await eventually("the sidecar is in step with the other", () => isSynced(second, sidecar), 30_000);

    expect(await snapshotOf(second, sidecar)).toEqual(snapshot);
    const sent = [...(await ask(second, "/metrics")).matchAll(/^headgate_ads_pushed_resources_total\{.*\} (\d+)$/gm)];
    expect(sent.length).toBeGreaterThan(3);
    expect(sent.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(0);
    await cluster.kubectl(["patch", "virtualservice", "shop", "--type=json", "-p", TO_V2]);
    await answered(sidecar, "v2", { headers: { user: "jason" } });
    const { outcomes, broken, requests } = await load.stop();
    expect({ outcomes, broken }).toEqual({ outcomes: { 200: requests }, broken: [] });
  });

  test("lets objects of directories win over the cluster's own, and tells", async () => {
    const directory = await scope.directory();
    await writeFile(join(directory, "shop.yaml"), POLICIES.replaceAll("subset: v1", "subset: v2"));
    const replica = await serve("--config", directory);
    const { violations } = JSON.parse(await ask(replica, "/violations"));
    expect(violations).toMatchObject(
      ["DestinationRule", "VirtualService"].map((kind) => ({ code: "duplicate-object", kind })),
    );
    const sidecar = await startSidecar(await startRelay(scope, portOf(replica.ads)));
    await answered(sidecar, "v2", { headers: { user: "jason" } });
  });

  test("needs something to read, --kube for its other flags, and a kubeconfig that is one", async () => {
    const refused = async (...args: string[]) => {
      const running = runHeadgate(scope, ["serve", ...args]);
      expect((await running.exited).code).toBe(64);
      return running.stderr();
    };
    expect(await refused()).toContain("give --config DIR, or --kube");
    expect(await refused("--config", ".", "--kube-namespaces", "a")).toContain("--kube-namespaces needs --kube");
    expect(await refused("--kube", "--kube-namespaces", "A b")).toContain("no namespace");
    expect(await refused("--kube", "--kubeconfig", "package.json")).toContain("names no cluster");
  });

  test("ends when it is told to while it waits for a cluster", async () => {
    const kubeconfig = await cluster.writeKubeconfig("nowhere", {
      server: "https://127.0.0.1:1",
      user: { token: "t" },
    });
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    const running = runHeadgate(scope, ["serve", "--kube", "--kubeconfig", kubeconfig, ...addresses]);
    await eventually("it says why it waits", () => running.stderr().includes("ECONNREFUSED"));
    running.child.kill("SIGTERM");
    expect((await running.exited).code).toBe(0);
    expect(running.stdout()).toBe("");
  });
});

const TO_V2 = '[{"op":"replace","path":"/spec/http/0/route/0/destination/subset","value":"v2"}]';

const POLICIES = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec: {host: shop, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop]
  http:
  - match: [{headers: {user: {exact: jason}}}]
    route: [{destination: {host: shop, subset: v1}}]
  - route: [{destination: {host: shop}}]
`;
