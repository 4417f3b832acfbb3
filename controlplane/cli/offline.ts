// A directory of policies and a proxy's identity, without a control plane: what explain and test work on.
import { readFile } from "node:fs/promises";
import { packagePath } from "../agent/package-root.js";
import { buildMesh, type Mesh } from "../mesh/mesh.js";
import { type Proxy, parseNode } from "../proxy/proxy.js";
import type { Violation } from "../resources/violation.js";
import { readFiles } from "../sources/read-files.js";
import { TrafficFilter } from "../wasm-host/traffic-filter.js";
import type { Read } from "./flag-values.js";

export interface OfflineMesh {
  readonly mesh: Mesh;
  /** Of the files and between the objects. */
  readonly violations: readonly Violation[];
}

export async function readMesh(
  paths: readonly string[],
  namespace: string,
  rootNamespace: string,
): Promise<OfflineMesh> {
  const { resources, violations } = await readFiles(paths, namespace);
  const mesh = buildMesh(resources.values(), { rootNamespace });
  return { mesh, violations: [...violations, ...mesh.violations] };
}

/** The module that Envoys get, and its bytes. */
export async function readTrafficFilter(): Promise<{ readonly filter: TrafficFilter; readonly wasm: Uint8Array }> {
  const wasm = await readFile(packagePath("build", "traffic.wasm"));
  return { filter: new TrafficFilter(wasm), wasm };
}

export interface ProxyDescription {
  /** A node id; undefined stands for a sidecar of the namespace, or for a gateway proxy where a gateway is given. */
  readonly node?: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** namespace/name */
  readonly gateway?: string;
}

/** A proxy without labels has those of its pod, where the mesh knows one, or those that the gateway selects. */
export function describeProxy(mesh: Mesh, description: ProxyDescription): Read<Proxy> {
  const { namespace, gateway } = description;
  const role = gateway === undefined ? "sidecar" : "router";
  const id = description.node ?? `${role}~127.0.0.1~explained.${namespace}~${namespace}.svc.cluster.local`;
  const own = mesh.workloads.podsByAddress.get(id.split("~")[1] ?? "")?.meta.labels ?? {};
  const selected = gateway === undefined ? {} : (mesh.gateways.get(gateway)?.spec.selector ?? {});
  if (gateway !== undefined && !mesh.gateways.has(gateway)) {
    const known = [...mesh.gateways.keys()].join(", ") || "none";
    return { error: `--gateway ${gateway} does not exist; there are: ${known}` };
  }
  const metadata = { LABELS: { ...selected, ...own, ...description.labels }, INTERCEPTION_MODE: "NONE" };
  const parsed = parseNode({ id, metadata }, "delta");
  return "error" in parsed ? { error: `--proxy: ${parsed.error}` } : { value: parsed.proxy };
}
