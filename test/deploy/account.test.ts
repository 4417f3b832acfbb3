// The account that is shipped: enough for a control plane that does all it can on a real cluster, and for nothing else.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { KubeClient } from "../../controlplane/kube/client.js";
import { ClusterEntries } from "../../controlplane/registration/cluster-entries.js";
import { createClusterStorage, createFollowedStorage } from "../../controlplane/rollout/cluster-storage.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { type Cluster, kubeBinaries, startCluster } from "../kube/support/cluster.js";

const FOLDER = join(process.cwd(), "deploy", "kubernetes");
const ACCOUNTS = { group: "", version: "v1", plural: "serviceaccounts" };
const SECRETS = { group: "", version: "v1", plural: "secrets" };
const VALIDATING = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
};

describe.skipIf("error" in kubeBinaries)("the account of deploy/kubernetes/rbac.yaml", () => {
  const scope = testScope();
  let cluster: Cluster;
  let kubeconfig: string;

  beforeAll(async () => {
    cluster = await startCluster(scope);
    for (const file of ["crds", "rbac.yaml", "webhook.yaml", "injection.yaml"]) {
      await cluster.kubectl(["apply", "--server-side", "-f", join(FOLDER, file)]);
    }
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } };
    const at = { namespace: "headgate-system", name: "headgate" };
    const made = await cluster.client.createUnder(ACCOUNTS, at, request, { subresource: "token" });
    const { token } = made.status as { token: string };
    kubeconfig = await cluster.writeKubeconfig("headgate.kubeconfig", { user: { token } });
  });

  test("reads every kind, and sets up both webhooks", async () => {
    const addresses = ["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--webhook", "127.0.0.1:0"];
    const injection = ["--inject-image", "headgate", "--inject-ads", "headgate.headgate-system.svc:15012"];
    const replica = await startServe(scope, ["--kube", "--kubeconfig", kubeconfig, ...addresses, ...injection]);
    expect(await (await fetch(`http://${replica.admin}/violations`)).json()).toEqual({ violations: [] });
    for (const plural of ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"]) {
      await eventually(`${plural} have the authority`, async () => {
        const found = await cluster.client.get({ ...VALIDATING, plural }, { name: "headgate" });
        const webhooks = found?.webhooks as readonly { readonly clientConfig: { readonly caBundle?: string } }[];
        return webhooks.every(({ clientConfig }) => clientConfig.caBundle !== undefined);
      });
    }
    expect(await cluster.client.get(SECRETS, { namespace: "headgate-system", name: "headgate-webhook" })).toBeDefined();
    await replica.kill();
  });

  test("asks about tokens and reads a pod, and may write nothing that is not its own", async () => {
    const client = scope.use(await KubeClient.connect({ kubeconfig }));
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "x" } };
    const reviews = { group: "authentication.k8s.io", version: "v1", plural: "tokenreviews" };
    expect((await client.create(reviews, review)).status).toMatchObject({ error: expect.any(String) });
    const own = { client, namespace: "headgate-system", identity: "a", onFault: () => {} };
    const entries = scope.use(new ClusterEntries(own));
    const entry = { name: "vms-1", namespace: "default", labels: {}, annotations: {} };
    const made = { apiVersion: "networking.istio.io/v1", kind: "WorkloadEntry", spec: { address: "10.0.0.1" } };
    for (let times = 0; times < 2; times++) await entries.put({ ...made, metadata: entry });
    await entries.remove(entry);
    const pods = { group: "", version: "v1", plural: "pods" };
    expect(await client.get(pods, { namespace: "default", name: "none" })).toBeUndefined();
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "a" } };
    await expect(client.create(SECRETS, secret, "default")).rejects.toMatchObject({ status: 403 });
    await expect(client.get(SECRETS, { namespace: "headgate-system", name: "other" })).rejects.toMatchObject({
      status: 403,
    });
    await expect(client.get(VALIDATING, { name: "other" })).rejects.toMatchObject({ status: 403 });
  });

  test("moves rollouts on, and neither adds nor deletes versions of filters or rollouts", async () => {
    const client = scope.use(await KubeClient.connect({ kubeconfig }));
    const namespace = "headgate-system";
    const commands = createClusterStorage({ client: cluster.client, namespace });
    const plan = { filter: "f", version: "v", selector: {}, steps: [1], holdMillis: 0, at: "", by: "a test" };
    const { id } = await commands.rollouts.create(plan);
    const notices: string[] = [];
    const own = createFollowedStorage({ client, namespace, onNotice: (notice) => notices.push(notice) });
    scope.use(own.peers);
    await own.peers.start();
    own.peers.seek();
    await eventually("it leads", () => own.peers.leads);
    await own.rollouts.list();
    await own.rollouts.saveState(id, { phase: "completed", step: 0, reached: 1, changedAt: "" });
    await own.rollouts.requestRollback(id, "a test");
    expect(await own.versions.list()).toEqual([]);
    expect(notices).toEqual([]);
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
    const configs = { group: "", version: "v1", plural: "configmaps" };
    await expect(client.create(configs, config, namespace)).rejects.toMatchObject({ status: 403 });
    await own.rollouts.prune();
    const rollout = { namespace, name: `filter-rollout-${id}` };
    await expect(client.delete(configs, rollout)).rejects.toMatchObject({ status: 403 });
    expect(await cluster.client.get(configs, rollout)).toBeDefined();
    await expect(client.list(configs, { namespace: "default" })).rejects.toMatchObject({ status: 403 });
  });
});
