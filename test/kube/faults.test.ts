// What breaks between the control plane and the cluster, under load: no request fails, nothing known is lost, and what
// changed meanwhile arrives once the fault is over.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import type { SourceState } from "../../controlplane/sources/source.js";
import { type Load, startLoad } from "../harness/load.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { type Relay, startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { type Account, createAccount, forbid, permit, replaceAccount, requestToken } from "./support/accounts.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installCustomResources, typeOf } from "./support/custom-resources.js";
import { ownAddress } from "./support/own-address.js";
import { answered, openShop, SHOP_PORT } from "./support/shop.js";

describe.skipIf("error" in kubeBinaries || ownAddress === undefined)("under load, with a real API server,", () => {
  const scope = testScope();
  const states: SourceState[] = [];
  const notices: string[] = [];
  let cluster: Cluster;
  let account: Account;
  let tokenFile: string;
  let relay: Relay;
  let mesh: TestMesh;
  let sidecar: TestProxy;
  let load: Load;
  let known: readonly string[];
  let version = "v2";

  beforeAll(async () => {
    cluster = await startCluster(scope);
    await installCustomResources(cluster.client);
    await openShop(scope, cluster);
    const subsets = ["v1", "v2"].map((name) => ({ name, labels: { version: name } }));
    await put("DestinationRule", { host: "shop", subsets });
    await reroute();
    account = await createAccount(scope, cluster, "headgate");
    await permit(cluster, account, "*", "*");
    relay = await startRelay(scope, Number(new URL(cluster.server).port));
    tokenFile = join(cluster.directory, "headgate.token");
    await writeFile(tokenFile, await requestToken(cluster, "headgate"));
    const kubeconfig = await cluster.writeKubeconfig("relayed.kubeconfig", {
      server: `https://127.0.0.1:${relay.port}`,
      user: { tokenFile },
    });
    const client = await KubeClient.connect({ kubeconfig });
    mesh = await startTestMesh(scope, {
      kubernetes: { client, onNotice: (notice) => void notices.push(notice) },
      onState: (state) => void states.push(state),
    });
    sidecar = await mesh.startProxy({ name: "client" });
    await answered(sidecar, "v1");
    known = [...(states.at(-1) as SourceState).resources.keys()];
  });

  beforeEach(() => {
    load = startLoad({ url: `http://${sidecar.address}:${SHOP_PORT}/`, headers: { host: "shop" }, concurrency: 2 });
  });

  afterEach(async () => {
    // The right state, whatever went before: a change after the fault has its effect.
    await reroute();
    await answered(sidecar, version);
    await eventually("all is followed", async () => (await mesh.violations()).length === 0);
    const { outcomes, broken, requests } = await load.stop();
    expect({ outcomes, broken }).toEqual({ outcomes: { 200: requests }, broken: [] });
    for (const { resources } of states) expect(known.filter((key) => !resources.has(key))).toEqual([]);
  });

  async function put(kind: "DestinationRule" | "VirtualService", spec: object): Promise<void> {
    const object = { apiVersion: "networking.istio.io/v1", kind, metadata: { name: "shop" }, spec };
    await cluster.client.apply(typeOf(kind), { namespace: "default", name: "shop" }, object, { fieldManager: "test" });
  }

  /** Leads all requests to the version that does not get them now. */
  async function reroute(): Promise<void> {
    const subset = version === "v1" ? "v2" : "v1";
    await put("VirtualService", { hosts: ["shop"], http: [{ route: [{ destination: { host: "shop", subset } }] }] });
    version = subset;
  }

  test("watches that are cut every second bring each change", async () => {
    for (let times = 0; times < 4; times++) {
      await sleep(1_000);
      relay.cut();
      await reroute();
      await answered(sidecar, version);
    }
  });

  test("a change while nothing can be reached arrives afterwards", async () => {
    relay.refuse(true);
    relay.cut();
    const before = version;
    await reroute();
    await sleep(1_000);
    await answered(sidecar, before);
    relay.refuse(false);
    await answered(sidecar, version);
  });

  test("etcd is killed and started again", async () => {
    await cluster.etcd.kill("SIGKILL");
    await sleep(1_000);
    await cluster.etcd.start();
    await eventually("the server writes again", () => reroute().then(() => true));
    await answered(sidecar, version);
  });

  test("the API server is killed, forgets what was watched, and starts again", async () => {
    await cluster.apiServer.kill("SIGKILL");
    await sleep(1_000);
    await cluster.apiServer.start();
    await reroute();
    await answered(sidecar, version);
  });

  test("its token is no longer taken until its file has another", async () => {
    await replaceAccount(cluster, "headgate");
    // The server remembers for some seconds that it took the token.
    await eventually(
      "it is told",
      async () => {
        relay.cut();
        await sleep(300);
        return notices.some((notice) => notice.includes("Unauthorized"));
      },
      40_000,
    );
    await reroute();
    await writeFile(tokenFile, await requestToken(cluster, "headgate"));
    await answered(sidecar, version);
  });

  test("it is forbidden everything, and allowed again", async () => {
    await forbid(cluster, account, "*");
    // An open watch goes on, so that it is the next one that is refused.
    relay.cut();
    await eventually("it is told", async () =>
      (await mesh.violations()).some(({ code }) => code === "kind-unreadable"),
    );
    await reroute();
    await permit(cluster, account, "*", "*");
    await answered(sidecar, version);
  });
});
