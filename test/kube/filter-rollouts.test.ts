// `headgate filter --kube` and several `headgate serve --kube`, as their processes are run, with real Envoys under them.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { loopbackAddress } from "../harness/addresses.js";
import { ask } from "../harness/client.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { flawedFilter, sameFilter, tracingPlugin } from "../harness/filter-modules.js";
import { runHeadgate } from "../harness/headgate.js";
import { startLoad } from "../harness/load.js";
import type { TestProxy } from "../harness/mesh.js";
import { type Relay, startRelay } from "../harness/relay.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "./support/cluster.js";
import { installDefinitions } from "./support/custom-resources.js";
import { ownAddress } from "./support/own-address.js";
import { openShop, SHOP_PORT } from "./support/shop.js";
import { tamperWith } from "./support/stored-versions.js";

const NAMESPACES = { group: "", version: "v1", plural: "namespaces" };
const LEASES = { group: "coordination.k8s.io", version: "v1", plural: "leases" };
const FILTER = "headgate.traffic";

interface Sidecar extends TestProxy {
  readonly relay: Relay;
}

describe.skipIf("error" in kubeBinaries || ownAddress === undefined)(
  "filters on a cluster",
  { timeout: 180_000 },
  () => {
    const scope = testScope();
    let cluster: Cluster;
    /** In the order in which they were started; those that were killed are taken out. */
    const replicas: ServeProcess[] = [];
    let sidecars: readonly [Sidecar, Sidecar];

    beforeAll(async () => {
      cluster = await startCluster(scope);
      await installDefinitions(cluster);
      await cluster.client.create(NAMESPACES, { metadata: { name: "headgate-system" } });
      await openShop(scope, cluster);
      await cluster.kubectl(["apply", "-f", "-"], RULE);
      const [one, two] = await Promise.all([startReplica(), startReplica()]);
      sidecars = [await startSidecar("one", one), await startSidecar("two", two)];
    }, 120_000);

    async function startReplica(): Promise<ServeProcess> {
      const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
      const replica = await startServe(scope, ["--kube", "--kubeconfig", cluster.kubeconfig, ...addresses]);
      replicas.push(replica);
      return replica;
    }

    async function startSidecar(name: string, replica: ServeProcess): Promise<Sidecar> {
      const relay = await startRelay(scope, portOf(replica));
      const address = await loopbackAddress(scope);
      const identity = { role: "sidecar", name, namespace: "default", labels: { app: "client" } } as const;
      const node = {
        ...identity,
        addresses: [address] as const,
        interceptionMode: "NONE",
        unprivileged: true,
      } as const;
      const envoy = await startTestEnvoy(
        scope,
        createBootstrap(node, { ads: { host: "127.0.0.1", port: relay.port } }),
      );
      return { ...envoy, relay, address, id: `sidecar~${address}~${name}.default~default.svc.cluster.local` };
    }

    /** The exit code and all that was printed. */
    async function filter(...words: string[]): Promise<string> {
      const running = runHeadgate(scope, ["filter", ...words, "--kube", "--kubeconfig", cluster.kubeconfig]);
      const { code } = await running.exited;
      return `${code} ${running.stdout()}${running.stderr()}`;
    }

    async function push(name: string, version: string, wasm: Uint8Array): Promise<string> {
      const file = join(await scope.directory(), "pushed.wasm");
      await writeFile(file, wasm);
      return filter("push", name, file, "--version", version);
    }

    const views = () =>
      Promise.all(
        replicas.map(async ({ admin }) => (await (await fetch(`http://${admin}/filters`)).json()) as FilterView),
      );

    /** What the proxies run, each as the replica knows it that it is connected to; sorted. */
    const running = async () => (await views()).flatMap(({ proxies }) => proxies.map((proxy) => proxy.running)).sort();

    const phases = async () => (await views()).map(({ rollouts }) => rollouts[0]?.state?.phase);

    const request = ({ address }: TestProxy) =>
      ask(`http://${address}:${SHOP_PORT}/`, { headers: { host: "shop" } }).catch(() => ({ status: 0, body: "" }));

    async function leader(): Promise<ServeProcess> {
      const lease = await cluster.client.get(LEASES, { namespace: "headgate-system", name: "headgate-rollouts" });
      const { holderIdentity = "" } = (lease?.spec ?? {}) as { holderIdentity?: string };
      const found = replicas.find(({ pid }) => holderIdentity.includes(`-${pid}-`));
      if (found === undefined) throw new Error(`${holderIdentity} leads, which is none of ours`);
      return found;
    }

    test("a version that one command pushed is rolled out over the proxies of all replicas as over those of one", async () => {
      expect(await push(FILTER, "1", sameFilter("1"))).toMatch(/^0 headgate.traffic@1 added/);
      expect(await filter("list")).toMatch(/headgate.traffic +1 /);
      expect(await filter("use", `${FILTER}@9`)).toMatch(/^65 .*filter-not-found/);
      // A step may be over by the time that the command has ended.
      const used = filter("use", `${FILTER}@1`, "--step", "50%,100%", "--hold", "3s");
      await eventually("one of the two runs it", async () => (await running()).join() === "1,built-in", 30_000);
      expect(await used).toMatch(/^0 rollout 000001/);
      await eventually("both run it", async () => (await running()).join() === "1,1", 30_000);
      await eventually("both replicas know", async () => (await phases()).every((phase) => phase === "completed"));
      expect(await filter("history")).toMatch(/000001 +headgate.traffic@1 .*completed/);
      for (const { admin } of replicas) {
        await eventually("each tells of the other one's proxy", async () => {
          const running = runHeadgate(scope, ["filter", "status", "--admin", admin]);
          await running.exited;
          return /headgate.traffic +sidecar\S+ +1 +1\n\nunder other .*\n.*\nheadgate.traffic +1 +1 +1\n$/.test(
            running.stdout(),
          );
        });
      }
      expect(await filter("remove", `${FILTER}@1`)).toMatch(/^65 .*rollout 000001 names/);
    });

    test("a rollout goes on under another replica when the one that moves it is killed", async () => {
      expect(await push(FILTER, "2", sameFilter("2"))).toMatch(/^0 /);
      const used = filter("use", `${FILTER}@2`, "--step", "50%,100%", "--hold", "3s");
      await eventually("it has begun", async () => (await running()).join() === "1,2", 30_000);
      const killed = await leader();
      const survivor = replicas.find((replica) => replica !== killed) as ServeProcess;
      await killed.kill();
      replicas.splice(replicas.indexOf(killed), 1);
      for (const { relay } of sidecars) relay.leadTo(portOf(survivor));
      await eventually("both run it", async () => (await running()).join() === "2,2", 60_000);
      await eventually("it is completed", async () => (await phases()).join() === "completed");
      expect(await leader()).toBe(survivor);
      expect(await used).toMatch(/^0 /);
    });

    test("a version that fails in a proxy of a replica that does not lead is taken back", async () => {
      const follower = await startReplica();
      sidecars[0].relay.leadTo(portOf(follower));
      await eventually("each replica has a proxy", async () =>
        (await views()).every(({ proxies }) => proxies.length === 1),
      );
      expect(await push(FILTER, "3", await flawedFilter("traps on every tenth request"))).toMatch(/^0 /);
      expect(await filter("use", `${FILTER}@3`, "--step", "100%", "--hold", "60s")).toMatch(/^0 /);
      await eventually("both run it", async () => (await running()).join() === "3,3", 30_000);
      expect(await leader()).not.toBe(follower);
      await eventually(
        "it is taken back",
        async () => {
          await Promise.all(Array.from({ length: 20 }, () => request(sidecars[0])));
          return (await phases()).every((phase) => phase === "rolled-back");
        },
        40_000,
      );
      expect((await views())[0]?.rollouts[0]?.state?.reason).toContain("VM failed");
      await eventually("both run what they ran", async () => (await running()).join() === "2,2", 30_000);
    });

    test("a rollout stands while the API server is away, and goes on when it is back", async () => {
      expect(await push(FILTER, "4", sameFilter("4"))).toMatch(/^0 /);
      const used = filter("use", `${FILTER}@4`, "--step", "50%,100%", "--hold", "5s");
      await eventually("it has begun", async () => (await running()).join() === "2,4", 30_000);
      await cluster.apiServer.kill();
      const load = sidecars.map(({ address }) =>
        startLoad({ url: `http://${address}:${SHOP_PORT}/`, headers: { host: "shop" }, concurrency: 1 }),
      );
      const seen = new Set<string>();
      for (let times = 0; times < 100; times++) seen.add((await running()).join());
      await cluster.apiServer.start();
      await eventually("both run it", async () => (await running()).join() === "4,4", 60_000);
      await eventually("both replicas know", async () => (await phases()).every((phase) => phase === "completed"));
      expect([...seen]).toEqual(["2,4"]);
      expect(await used).toMatch(/^0 /);
      for (const { outcomes, broken, requests } of await Promise.all(load.map((each) => each.stop())))
        expect({ outcomes, broken }).toEqual({ outcomes: { 200: requests }, broken: [] });
    });

    test("a version that a policy names runs under every replica and stays, and one that was tampered with does not run", async () => {
      expect(await push("tracer", "1", await tracingPlugin())).toMatch(/^0 /);
      await cluster.kubectl(["apply", "-f", "-"], PLUGIN("1"));
      const trails = async () =>
        (await Promise.all(sidecars.map(request))).map(({ status, body }) =>
          status === 200 ? JSON.parse(body).headers["x-trail"] : status,
        );
      await eventually("it runs in both", async () => (await trails()).join() === "p,p", 30_000);
      expect(await filter("remove", "tracer@1")).toMatch(/^65 .*WasmPlugin default\/p names tracer@1/);

      expect(await push("tracer", "2", sameFilter("tampered"))).toMatch(/^0 /);
      await tamperWith(cluster.client, "headgate-system", { name: "tracer", version: "2", what: "module" });
      await cluster.kubectl(["apply", "-f", "-"], PLUGIN("2"));
      await eventually("it is told", async () => {
        const told = await (await fetch(`http://${(replicas[0] as ServeProcess).admin}/violations`)).text();
        return told.includes("not the one that was pushed");
      });
      expect((await trails()).join()).toBe("p,p");
      expect(await filter("use", "tracer@2")).toMatch(/^0 /);
      await eventually(
        "a rollout of it goes back",
        async () => (await phases()).every((phase) => phase === "rolled-back"),
        30_000,
      );
    });
  },
);

function portOf({ ads }: ServeProcess): number {
  return Number(ads.split(":").at(-1));
}

/** So that the traffic filter has something to do. */
const RULE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop]
  http: [{match: [{headers: {x: {exact: a}}}], route: [{destination: {host: shop}}]}, {route: [{destination: {host: shop}}]}]
`;

const PLUGIN = (version: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p, namespace: default}
spec: {url: "headgate://tracer@${version}", pluginConfig: {name: p}}
`;
