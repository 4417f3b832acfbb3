// All services of a mesh, from every kind that defines some, with the indexes that translation asks.
import { isDeepStrictEqual } from "node:util";
import type { AnyResource } from "../resources/kinds.js";
import { kubernetesServices } from "./kubernetes-service.js";
import type { MeshService } from "./service.js";
import { serviceEntryServices } from "./service-entry-service.js";
import { push, type Workloads } from "./workloads.js";

export interface Services {
  /** By host name, then namespace. A host may be there once for each namespace that defines it. */
  readonly all: readonly MeshService[];
  readonly byHost: ReadonlyMap<string, readonly MeshService[]>;
  /** By namespace, those that select their workloads by labels. */
  readonly selecting: ReadonlyMap<string, readonly MeshService[]>;
  /** The services that have an endpoint at an address. */
  readonly byEndpoint: ReadonlyMap<string, readonly MeshService[]>;
}

/** Takes the objects oldest first. Services that came out as they were are the same objects as in `before`. */
export function indexServices(
  resources: readonly AnyResource[],
  workloads: Workloads,
  before: Services | undefined,
): Services {
  const known = new Map(before?.all.map((service) => [keyOf(service), service]));
  const built = [...kubernetesServices(resources, workloads), ...serviceEntryServices(resources, workloads)];
  const all = mergeServices(built).map((service) => {
    const same = known.get(keyOf(service));
    return same && isUnchanged(same, service) ? same : service;
  });
  const byHost = new Map<string, MeshService[]>();
  const selecting = new Map<string, MeshService[]>();
  const byEndpoint = new Map<string, MeshService[]>();
  for (const service of all) {
    push(byHost, service.hostname, service);
    const { source } = service;
    if (source.kind === "Service" && Object.keys(source.spec.selector).length > 0)
      push(selecting, service.namespace, service);
    const addresses = new Set([...service.endpoints.values()].flat().map((endpoint) => endpoint.address));
    for (const address of addresses) push(byEndpoint, address, service);
  }
  return { all, byHost, selecting, byEndpoint };
}

function keyOf(service: MeshService): string {
  return `${service.hostname} ${service.namespace}`;
}

function isUnchanged(before: MeshService, now: MeshService): boolean {
  return (
    before === now ||
    (before.source === now.source &&
      isDeepStrictEqual(before.ports, now.ports) &&
      isDeepStrictEqual(before.endpoints, now.endpoints))
  );
}

/** Definitions of one host in one namespace become one service; the first to define a port keeps it. */
function mergeServices(services: readonly MeshService[]): MeshService[] {
  const merged = new Map<string, MeshService>();
  for (const service of services) {
    const key = keyOf(service);
    const first = merged.get(key);
    if (!first) {
      merged.set(key, service);
      continue;
    }
    const added = service.ports.filter((port) => !first.ports.some((own) => own.number === port.number));
    const endpoints = new Map(first.endpoints);
    for (const port of added) endpoints.set(port.number, service.endpoints.get(port.number) ?? []);
    merged.set(key, Object.freeze({ ...first, ports: [...first.ports, ...added], endpoints }));
  }
  return [...merged.values()].sort((a, b) => compare(a.hostname, b.hostname) || compare(a.namespace, b.namespace));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
