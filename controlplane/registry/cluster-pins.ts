// The versions of filters that the policies on a cluster name, asked of the cluster.
import type { KubeClient } from "../kube/client.js";
import { KubeFault, type KubeObject, type KubeType } from "../kube/object.js";
import { parseModuleSource } from "../resources/module-source.js";
import type { Pin } from "./pins.js";

const EXTENSIONS = { group: "extensions.istio.io", version: "v1alpha1" } as const;
const KINDS: readonly (readonly [kind: string, type: KubeType])[] = [
  ["WasmPlugin", { ...EXTENSIONS, plural: "wasmplugins" }],
  ["TrafficExtension", { ...EXTENSIONS, plural: "trafficextensions" }],
];

/** Of all namespaces. Rejects with a KubeFault when they cannot be read. */
export async function readClusterPins(client: KubeClient): Promise<readonly Pin[]> {
  const pins: Pin[] = [];
  for (const [kind, type] of KINDS) {
    try {
      for await (const { items } of client.pages(type)) pins.push(...items.flatMap((object) => pinOf(kind, object)));
    } catch (error) {
      // A kind that the cluster does not have has no objects.
      if (!(error instanceof KubeFault && error.status === 404)) throw error;
    }
  }
  return pins;
}

function pinOf(kind: string, { metadata, spec }: KubeObject): readonly Pin[] {
  const { url, wasm } = (spec ?? {}) as { readonly url?: unknown; readonly wasm?: { readonly url?: unknown } };
  const source = parseModuleSource(String((kind === "WasmPlugin" ? url : wasm?.url) ?? ""));
  if (source?.type !== "registry" || source.version === undefined) return [];
  return [{ filter: source.filter, version: source.version, by: `${kind} ${metadata.namespace}/${metadata.name}` }];
}
