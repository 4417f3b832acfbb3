// What `headgate diff` is given: the objects of directories, and the proxies that it asks for.
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { type Node, type Proxy, parseNode } from "../../proxy/proxy.js";
import type { AnyResource } from "../../resources/kinds.js";
import { resourceKey } from "../../resources/resource.js";
import type { Violation } from "../../resources/violation.js";
import { readFiles } from "../../sources/read-files.js";
import { findNoDirectory } from "../directories.js";
import type { Read } from "../flag-values.js";

export interface Objects {
  /** By resourceKey; earlier directories win. */
  readonly resources: ReadonlyMap<string, AnyResource>;
  /** Of single objects and files. */
  readonly violations: readonly Violation[];
}

export async function readObjects(directories: readonly string[], defaultNamespace: string): Promise<Read<Objects>> {
  // Files that are not there at all would look like objects that are to be removed.
  const error = await findNoDirectory(directories);
  if (error !== undefined) return { error };
  const { resources, violations } = await readFiles(directories, defaultNamespace);
  return { value: { resources, violations } };
}

/** The keys of objects that are there, but have errors that keep them out. */
export function faultyKeys({ resources, violations }: Objects): string[] {
  const keys = violations.flatMap(({ severity, kind, namespace, name }) =>
    severity === "error" && kind !== undefined && namespace !== undefined && name !== undefined
      ? resourceKey({ kind, meta: { namespace, name } })
      : [],
  );
  return [...new Set(keys)].filter((key) => !resources.has(key));
}

/** Node ids, and files whose documents are nodes as bootstraps have them, or bootstraps. */
export async function readNodes(ids: readonly string[], files: readonly string[]): Promise<Read<Proxy[]>> {
  const nodes: { readonly node: unknown; readonly from: string }[] = ids.map((id) => ({
    node: { id },
    from: "--node",
  }));
  for (const file of files) {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (error) {
      return { error: `${file} cannot be read (${(error as NodeJS.ErrnoException).code})` };
    }
    for (const document of [...parseAllDocuments(text)]) {
      if (document.errors.length > 0) return { error: `${file} is not YAML: ${document.errors[0]?.message}` };
      const value: unknown = document.toJS({ maxAliasCount: 100 });
      nodes.push({ node: isRecord(value) && "node" in value ? value.node : value, from: file });
    }
  }
  const proxies: Proxy[] = [];
  for (const { node, from } of nodes) {
    const read = toNode(node);
    const parsed = read ? parseNode(read, "delta") : { error: "a node needs an id" };
    if ("error" in parsed) return { error: `${from}: ${parsed.error}` };
    proxies.push(parsed.proxy);
  }
  return { value: proxies };
}

function toNode(value: unknown): Node | undefined {
  if (!isRecord(value) || typeof value.id !== "string") return undefined;
  const locality = isRecord(value.locality) ? value.locality : {};
  const place = (...names: string[]) => String(names.map((name) => locality[name]).find((part) => part) ?? "");
  return {
    id: value.id,
    metadata: value.metadata,
    locality: { region: place("region"), zone: place("zone"), subZone: place("sub_zone", "subZone") },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
