// Service accounts that tests allow and forbid things.
import { KubeClient } from "../../../controlplane/kube/client.js";
import type { Scope } from "../../harness/scope.js";
import type { Cluster } from "./cluster.js";

const RBAC = { group: "rbac.authorization.k8s.io", version: "v1" };
const ROLES = { ...RBAC, plural: "clusterroles" };
const BINDINGS = { ...RBAC, plural: "clusterrolebindings" };
const ACCOUNTS = { group: "", version: "v1", plural: "serviceaccounts" };

export interface Account {
  readonly name: string;
  readonly kubeconfig: string;
  /** As the account. */
  readonly client: KubeClient;
}

/** Makes a service account of the namespace default, which may do nothing yet but look at what the API has. */
export async function createAccount(scope: Scope, cluster: Cluster, name: string): Promise<Account> {
  await cluster.client.create(ACCOUNTS, { metadata: { name } }, "default");
  const token = await requestToken(cluster, name);
  const kubeconfig = await cluster.writeKubeconfig(`${name}.kubeconfig`, { user: { token } });
  return { name, kubeconfig, client: scope.use(await KubeClient.connect({ kubeconfig })) };
}

/** Makes an account of the same name in place of it, so that its tokens are no longer taken. */
export async function replaceAccount({ client }: Cluster, name: string): Promise<void> {
  await client.delete(ACCOUNTS, { namespace: "default", name });
  await client.create(ACCOUNTS, { metadata: { name } }, "default");
}

/** A token of the account; the server gives none for less than 600 s. */
export async function requestToken(cluster: Cluster, account: string, seconds = 3_600): Promise<string> {
  const request = { spec: { expirationSeconds: seconds } };
  const at = { namespace: "default", name: account };
  const made = await cluster.client.createUnder(ACCOUNTS, at, request, { subresource: "token" });
  return (made.status as { token: string }).token;
}

/** Lets the account list and watch, or do something else with, what is of this group and plural; "*" is all. */
export async function permit(
  cluster: Cluster,
  { name }: Account,
  group: string,
  plural: string,
  verbs: readonly string[] = ["list", "watch"],
): Promise<void> {
  const role = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: `${name}-${plural.replace("/", "-")}` },
    rules: [{ apiGroups: [group], resources: [plural], verbs }],
  };
  const binding = {
    ...role,
    kind: "ClusterRoleBinding",
    rules: undefined,
    roleRef: { apiGroup: RBAC.group, kind: "ClusterRole", name: role.metadata.name },
    subjects: [{ kind: "ServiceAccount", name, namespace: "default" }],
  };
  await cluster.client.apply(ROLES, role.metadata, role, { fieldManager: "test" });
  await cluster.client.apply(BINDINGS, role.metadata, binding, { fieldManager: "test" });
}

export async function forbid(cluster: Cluster, { name }: Account, plural: string): Promise<void> {
  await cluster.client.delete(BINDINGS, { name: `${name}-${plural}` });
}
