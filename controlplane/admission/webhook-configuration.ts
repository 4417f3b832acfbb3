// Tells the API server by which authorities it knows the webhook.
import type { KubeClient } from "../kube/client.js";
import type { KubeType } from "../kube/object.js";

interface ConfigurationType extends KubeType {
  readonly kind: string;
}

const API = { group: "admissionregistration.k8s.io", version: "v1" } as const;
export const VALIDATING: ConfigurationType = {
  ...API,
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
};
export const MUTATING: ConfigurationType = {
  ...API,
  plural: "mutatingwebhookconfigurations",
  kind: "MutatingWebhookConfiguration",
};

interface Webhook {
  readonly name: string;
  readonly clientConfig: { readonly caBundle?: string };
}

/**
 * Sets the authorities (PEM) of every webhook of a configuration, by server-side apply: whatever else is in it belongs to
 * whoever installed it. Resolves with false where there is no such configuration; rejects with the API server's fault.
 */
export async function trustAuthorities(
  client: KubeClient,
  { kind, ...type }: ConfigurationType,
  name: string,
  authorities: string,
): Promise<boolean> {
  const found = await client.get(type, { name });
  if (found === undefined) return false;
  const caBundle = Buffer.from(authorities).toString("base64");
  const webhooks = (found.webhooks ?? []) as readonly Webhook[];
  if (webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle)) return true;
  const object = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: { name },
    webhooks: webhooks.map((webhook) => ({ name: webhook.name, clientConfig: { caBundle } })),
  };
  await client.apply(type, { name }, object, { fieldManager: "headgate-webhook" });
  return true;
}
