// Workloads: the pods and workload entries of a mesh, indexed by namespace for selectors and by address, and their nodes.
import type { AnyResource } from "../resources/kinds.js";
import type { Pod } from "../resources/kubernetes.js";
import type { WorkloadEntry } from "../resources/service-entry.js";

export interface Workloads {
  readonly pods: ReadonlyMap<string, Pod>;
  readonly podsByAddress: ReadonlyMap<string, Pod>;
  readonly podsOf: (namespace: string) => readonly Pod[];
  readonly entriesOf: (namespace: string) => readonly WorkloadEntry[];
  /** region/zone/subzone of the node of that name; empty where it is not known. */
  readonly localityOf: (node: string | undefined) => string;
}

/** Pods are keyed by namespace/name. */
export function indexWorkloads(resources: readonly AnyResource[]): Workloads {
  const pods = new Map<string, Pod>();
  const podsByAddress = new Map<string, Pod>();
  const podsByNamespace = new Map<string, Pod[]>();
  const localities = new Map<string, string>();
  const entriesByNamespace = new Map<string, WorkloadEntry[]>();
  for (const resource of resources) {
    if (resource.kind === "Pod") {
      pods.set(`${resource.meta.namespace}/${resource.meta.name}`, resource);
      for (const ip of resource.spec.ips) podsByAddress.set(ip, resource);
      push(podsByNamespace, resource.meta.namespace, resource);
    } else if (resource.kind === "WorkloadEntry") {
      push(entriesByNamespace, resource.meta.namespace, resource);
    } else if (resource.kind === "Node") {
      localities.set(resource.meta.name, resource.spec.locality);
    }
  }
  return {
    pods,
    podsByAddress,
    podsOf: (namespace) => podsByNamespace.get(namespace) ?? [],
    entriesOf: (namespace) => entriesByNamespace.get(namespace) ?? [],
    localityOf: (node) => (node === undefined ? "" : (localities.get(node) ?? "")),
  };
}

/** Whether every label of the selector is among the labels; an empty selector selects everything. */
export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  for (const name of Object.keys(selector)) if (labels[name] !== selector[name]) return false;
  return true;
}

export function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
