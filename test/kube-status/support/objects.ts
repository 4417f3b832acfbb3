// Objects and proxies for tests of what concerns whom, without a cluster.
import { expect } from "vitest";
import { buildMesh, type Mesh } from "../../../controlplane/mesh/mesh.js";
import { type Proxy, parseNode } from "../../../controlplane/proxy/proxy.js";
import { decodeObject } from "../../../controlplane/resources/decode.js";
import type { AnyResource } from "../../../controlplane/resources/kinds.js";
import { parseYaml } from "../../../controlplane/sources/yaml.js";

/** The objects of YAML documents, which must be good; those without a namespace are of "default". */
export function objectsOf(yaml: string): readonly AnyResource[] {
  const decoded = parseYaml(yaml, "test.yaml").objects.map((object) => decodeObject(object, "default"));
  expect(decoded.flatMap(({ violations }) => violations)).toEqual([]);
  return decoded.flatMap(({ resource }) => resource ?? []);
}

export function meshOf(objects: readonly AnyResource[]): Mesh {
  return buildMesh(objects, { rootNamespace: "istio-system" });
}

export function proxyOf(
  name: string,
  options: { readonly role?: "sidecar" | "router"; readonly namespace?: string; readonly labels?: object } = {},
): Proxy {
  const { role = "sidecar", namespace = "default", labels = {} } = options;
  const id = `${role}~10.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local`;
  const parsed = parseNode({ id, metadata: { LABELS: labels, NAMESPACE: namespace } }, "delta");
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.proxy;
}
