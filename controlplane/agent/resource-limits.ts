// How much a proxy may take: what its bootstrap's overload manager says, and what the process may open.
import { readFile } from "node:fs/promises";

/** Where nothing else is said, if the process may have as many files open. */
const MOST_CONNECTIONS = 100_000;
/** A request has a connection on either side; the rest is for logs, sockets of its own and the like. */
const FILES_A_CONNECTION = 2;
const OTHER_FILES = 100;

export interface ResourceLimits {
  /** Of Envoy's heap, in bytes; none by default. */
  readonly memoryBytes?: number;
  /** Connections from clients that are open at once, over all listeners but the admin's. */
  readonly connections: number;
}

/** What of a bootstrap is limited; envoy/bootstrap.yaml has all but the heap. */
export interface Limitable {
  overload_manager: {
    resource_monitors: [{ typed_config: Record<string, unknown> }, ...object[]];
    actions?: object[];
  };
}

/** Changes the bootstrap. Close to the limit Envoy gives memory back, at 95 % of it answers new requests with 503. */
export function limitResources({ overload_manager: manager }: Limitable, limits: ResourceLimits): void {
  manager.resource_monitors[0].typed_config.max_active_downstream_connections = limits.connections;
  if (limits.memoryBytes === undefined) return;
  const name = "envoy.resource_monitors.fixed_heap";
  manager.resource_monitors.push({
    name,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
      max_heap_size_bytes: limits.memoryBytes,
    },
  });
  const action = (kind: string, value: number) => ({
    name: `envoy.overload_actions.${kind}`,
    triggers: [{ name, threshold: { value } }],
  });
  manager.actions = [action("shrink_heap", 0.9), action("stop_accepting_requests", 0.95)];
}

/** How many files this process, and an Envoy that it starts, may have open; undefined where that cannot be known. */
export async function openFileLimit(): Promise<number | undefined> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** As many connections as `files` open files allow; undefined is no limit. */
export function connectionsWithin(files: number | undefined): number {
  const most = Math.floor(((files ?? Number.POSITIVE_INFINITY) - OTHER_FILES) / FILES_A_CONNECTION);
  return Math.min(Math.max(most, 1), MOST_CONNECTIONS);
}

/** What is wrong with this many connections, in words for a person. */
export function openFileWarning(connections: number, files: number | undefined): string | undefined {
  const needed = connections * FILES_A_CONNECTION + OTHER_FILES;
  if (files === undefined || files >= needed) return undefined;
  return `${connections} connections may need ${needed} open files, and the limit is ${files}: raise it (ulimit -n)`;
}
