// The objects in which a cluster keeps a version of a filter, and ways to tamper with them.
import type { KubeClient } from "../../../controlplane/kube/client.js";
import type { KubeObject } from "../../../controlplane/kube/object.js";
import { CONFIG_MAPS } from "../../../controlplane/registry/cluster-versions.js";

/** Puts other bytes in the place of a small version's, or another text in the place of its record. */
export async function tamperWith(
  client: KubeClient,
  namespace: string,
  { name, version, what }: { readonly name: string; readonly version: string; readonly what: "module" | "record" },
): Promise<void> {
  const { items } = await client.list(CONFIG_MAPS, { namespace, limit: 100 });
  const data = (object: KubeObject) => (object.data ?? {}) as Readonly<Record<string, string>>;
  const record = items.find((object) => {
    const found = JSON.parse(data(object)["version.json"] ?? "{}") as { name?: string; version?: string };
    return found.name === name && found.version === version;
  });
  if (!record) throw new Error(`there is no ${name}@${version} in ${namespace}`);
  const { chunks = "" } = data(record);
  if (what === "record") return replace(client, namespace, record, { data: { chunks, "version.json": "{}" } });
  const chunk = items.find(({ metadata }) => metadata.name === chunks) as KubeObject;
  await replace(client, namespace, chunk, { binaryData: { bytes: Buffer.from("something else").toString("base64") } });
}

/** An immutable object can only be made anew. */
async function replace(client: KubeClient, namespace: string, { metadata }: KubeObject, content: object) {
  const { name = "", labels } = metadata;
  await client.delete(CONFIG_MAPS, { namespace, name });
  await client.create(CONFIG_MAPS, { metadata: { name, labels }, immutable: true, ...content }, namespace);
}
