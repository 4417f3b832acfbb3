// What one sidecar of the measured mesh should have, as `headgate serve` would translate it.
import { readFile } from "node:fs/promises";
import { packagePath } from "../../controlplane/agent/package-root.js";
import { buildMesh } from "../../controlplane/mesh/mesh.js";
import { parseNode } from "../../controlplane/proxy/proxy.js";
import { createDirectorySource } from "../../controlplane/sources/directory.js";
import type { EnvoyResource } from "../../controlplane/translate/resource.js";
import { translate } from "../../controlplane/translate/translate.js";

/** By type URL and name. */
export type Resources = ReadonlyMap<string, ReadonlyMap<string, EnvoyResource>>;

/** `node` is that of the sidecar's bootstrap. Throws when the node claims what no proxy may. */
export async function translateFor(
  directory: string,
  node: { readonly id: string; readonly metadata: object },
): Promise<Resources> {
  const parsed = parseNode(node, "delta");
  if ("error" in parsed) throw new Error(parsed.error);
  const source = createDirectorySource({ directory, defaultNamespace: "default" });
  try {
    const { resources } = await source.start(() => {});
    const mesh = buildMesh(resources.values(), { rootNamespace: "istio-system" });
    const wasm = await readFile(packagePath("build", "traffic.wasm"));
    const byType = new Map<string, Map<string, EnvoyResource>>();
    for (const resource of translate(mesh, parsed.proxy, { trafficFilter: { wasm } })) {
      const ofType = byType.get(resource.typeUrl) ?? new Map<string, EnvoyResource>();
      byType.set(resource.typeUrl, ofType.set(resource.name, resource));
    }
    return byType;
  } finally {
    await source.close();
  }
}
