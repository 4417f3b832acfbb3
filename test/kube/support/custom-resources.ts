// Definitions of the custom resources: ours, and such as take any object, so that tests can put faulty ones into a cluster.
import { packagePath } from "../../../controlplane/agent/package-root.js";
import type { KubeClient } from "../../../controlplane/kube/client.js";
import type { KubeType } from "../../../controlplane/kube/object.js";
import type { Kind } from "../../../controlplane/resources/kinds.js";
import { KUBERNETES_KINDS } from "../../../controlplane/sources/kubernetes-kinds.js";
import { eventually } from "../../harness/waiting.js";
import type { Cluster } from "./cluster.js";

const DEFINITIONS: KubeType = { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions" };

/** How tests ask for objects of a kind. */
export function typeOf(kind: Kind): KubeType {
  const { group, versions, plural } = KUBERNETES_KINDS[kind];
  return { group, version: versions[0] as string, plural };
}

export const POLICY_KINDS = (Object.keys(KUBERNETES_KINDS) as Kind[]).filter((kind) => KUBERNETES_KINDS[kind].policy);

/** Installs the definitions, in these versions or all, and resolves when their objects are served. */
export async function installCustomResources(
  client: KubeClient,
  kinds: readonly Kind[] = POLICY_KINDS,
  versions?: readonly string[],
): Promise<void> {
  for (const kind of kinds) {
    const definition = definitionOf(kind, versions);
    await client.apply(DEFINITIONS, definition.metadata, definition, { fieldManager: "test" });
  }
  const served = (kind: Kind) => ({ ...typeOf(kind), ...(versions ? { version: versions[0] as string } : {}) });
  await Promise.all(
    kinds.map((kind) => eventually(`${kind} is served`, async () => await client.list(served(kind), { limit: 1 }))),
  );
}

/** Installs the definitions that people install. */
export async function installDefinitions({ kubectl }: Cluster): Promise<void> {
  await kubectl(["apply", "--server-side", "-f", packagePath("deploy", "kubernetes", "crds")]);
  await kubectl(["wait", "--for", "condition=established", "--timeout", "60s", "crd", "--all"]);
}

/** Removes a kind's definition, and with it all of its objects. */
export async function removeCustomResource(client: KubeClient, kind: Kind): Promise<void> {
  await client.delete(DEFINITIONS, definitionOf(kind).metadata);
}

function definitionOf(kind: Kind, versions = KUBERNETES_KINDS[kind].versions) {
  const { group, plural } = KUBERNETES_KINDS[kind];
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        schema,
        subresources: { status: {} },
      })),
    },
  };
}
