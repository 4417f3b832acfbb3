// What a cluster's controllers and a kubelet do between a Deployment and a running container, for processes that play one.
import type { KubeName, KubeObject, KubeType } from "../../../controlplane/kube/object.js";
import type { Cluster } from "../../kube/support/cluster.js";
import type { PodTemplate } from "./manifests.js";

export const core = (plural: string): KubeType => ({ group: "", version: "v1", plural });

/** Makes NAME-1 of a Deployment by its key, as in "Deployment NAMESPACE/NAME". */
export async function makePod({ client }: Cluster, key: string, template: PodTemplate): Promise<KubeObject> {
  const { namespace, name } = podOf(key);
  const metadata = { ...template.metadata, name };
  return client.create(core("pods"), { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec }, namespace);
}

/** Where that pod is. */
export function podOf(key: string): Required<KubeName> {
  const [, namespace = "", name = ""] = key.split(/[ /]/);
  return { namespace, name: `${name}-1` };
}

/** A token of the pod's account, which lasts as long as the pod; by default for the API server. */
export async function tokenOf({ client }: Cluster, pod: KubeObject, audience?: string): Promise<string> {
  const { name, namespace = "", uid } = pod.metadata;
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name, uid };
  const request = { spec: { boundObjectRef, ...(audience ? { audiences: [audience] } : {}) } };
  const account = { namespace, name: (pod.spec as PodTemplate["spec"]).serviceAccountName };
  const made = await client.createUnder(core("serviceaccounts"), account, request, { subresource: "token" });
  return (made.status as { token: string }).token;
}

/** Gives the pod its address; resolves with what a container's variables have of it. */
export async function startPod({ client }: Cluster, pod: KubeObject, address: string) {
  const { name = "", namespace = "" } = pod.metadata;
  const status = { podIP: address, podIPs: [{ ip: address }] };
  await client.merge(core("pods"), { name, namespace }, { status }, { subresource: "status" });
  const account = (pod.spec as PodTemplate["spec"]).serviceAccountName;
  return { POD_NAME: name, POD_NAMESPACE: namespace, POD_IP: address, SERVICE_ACCOUNT: account };
}

/** What the control plane told a namespace of its authority; empty where it has not. */
export async function authorityIn({ client }: Cluster, namespace: string): Promise<string> {
  const found = await client.get(core("configmaps"), { namespace, name: "headgate-ads-ca" });
  return (found?.data as { readonly "ca.pem"?: string } | undefined)?.["ca.pem"] ?? "";
}
