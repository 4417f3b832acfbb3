// One frozen picture of the mesh: services, policies and visibility, with the indexes that translation asks.
import type { Gateway } from "../resources/gateway.js";
import type { AnyResource } from "../resources/kinds.js";
import type { Secret } from "../resources/kubernetes.js";
import type { Sidecar } from "../resources/sidecar.js";
import type { StagedRollout } from "../resources/staged-rollout.js";
import type { Violation } from "../resources/violation.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { analyze } from "./analysis.js";
import { resolveDelegates } from "./delegates.js";
import { type DestinationRuleIndex, indexDestinationRules } from "./destination-rules.js";
import { kubernetesServices } from "./kubernetes-service.js";
import { analyzeRollouts, rolloutKey } from "./rollouts.js";
import type { MeshService } from "./service.js";
import { serviceEntryServices } from "./service-entry-service.js";
import { indexWorkloads, push, type Workloads } from "./workloads.js";

export interface MeshOptions {
  /** The namespace whose Sidecar and DestinationRules are defaults for all others. */
  readonly rootNamespace: string;
}

export interface Mesh {
  readonly options: MeshOptions;
  /** By host name, then namespace. A host may be there once for each namespace that defines it. */
  readonly services: readonly MeshService[];
  readonly servicesByHost: ReadonlyMap<string, readonly MeshService[]>;
  readonly servicesByNamespace: ReadonlyMap<string, readonly MeshService[]>;
  /** The services that have an endpoint at an address. */
  readonly servicesByEndpoint: ReadonlyMap<string, readonly MeshService[]>;
  /** Oldest first, delegates put in place. */
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: DestinationRuleIndex;
  /** By namespace/name, oldest first. */
  readonly gateways: ReadonlyMap<string, Gateway>;
  /** Of each namespace, oldest first. */
  readonly sidecars: ReadonlyMap<string, readonly Sidecar[]>;
  /** By rolloutKey; the oldest for each route. */
  readonly rollouts: ReadonlyMap<string, StagedRollout>;
  /** By namespace/name. */
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly workloads: Workloads;
  /** Faults between objects; those of single objects are the source's. */
  readonly violations: readonly Violation[];
}

/** Builds the mesh of these objects. Equal objects in any order give an equal mesh. */
export function buildMesh(resources: Iterable<AnyResource>, options: MeshOptions): Mesh {
  const all = [...resources].sort(byAge);
  const workloads = indexWorkloads(all);
  const services = mergeServices([...kubernetesServices(all, workloads), ...serviceEntryServices(all, workloads)]);
  const servicesByHost = new Map<string, MeshService[]>();
  const servicesByNamespace = new Map<string, MeshService[]>();
  for (const service of services) {
    push(servicesByHost, service.hostname, service);
    push(servicesByNamespace, service.namespace, service);
  }
  const { roots, violations } = resolveDelegates(ofKind(all, "VirtualService"));
  const sidecars = new Map<string, Sidecar[]>();
  for (const sidecar of ofKind(all, "Sidecar")) push(sidecars, sidecar.meta.namespace, sidecar);
  // Oldest last, so that it is the one that stays in the map.
  const rollouts = ofKind(all, "StagedRollout").reverse();
  const mesh: Mesh = {
    options,
    services,
    servicesByHost,
    servicesByNamespace,
    servicesByEndpoint: indexEndpoints(services),
    virtualServices: roots,
    destinationRules: indexDestinationRules(ofKind(all, "DestinationRule"), options.rootNamespace),
    gateways: new Map(ofKind(all, "Gateway").map((gateway) => [nameOf(gateway), gateway])),
    sidecars,
    rollouts: new Map(rollouts.map((rollout) => [rolloutKey(rollout.meta.namespace, rollout.spec), rollout])),
    secrets: new Map(ofKind(all, "Secret").map((secret) => [nameOf(secret), secret])),
    workloads,
    violations: [],
  };
  return Object.freeze({
    ...mesh,
    violations: [...violations, ...analyze(mesh), ...analyzeRollouts(mesh, ofKind(all, "StagedRollout"))],
  });
}

function indexEndpoints(services: readonly MeshService[]): ReadonlyMap<string, readonly MeshService[]> {
  const byAddress = new Map<string, MeshService[]>();
  for (const service of services) {
    const addresses = new Set([...service.endpoints.values()].flat().map((endpoint) => endpoint.address));
    for (const address of addresses) push(byAddress, address, service);
  }
  return byAddress;
}

function nameOf(resource: AnyResource): string {
  return `${resource.meta.namespace}/${resource.meta.name}`;
}

function ofKind<K extends AnyResource["kind"]>(
  all: readonly AnyResource[],
  kind: K,
): Extract<AnyResource, { kind: K }>[] {
  return all.filter((resource): resource is Extract<AnyResource, { kind: K }> => resource.kind === kind);
}

/** Oldest first; objects of one age by name, then namespace, then kind. */
function byAge(a: AnyResource, b: AnyResource): number {
  return (
    a.meta.createdAt - b.meta.createdAt ||
    compare(a.meta.name, b.meta.name) ||
    compare(a.meta.namespace, b.meta.namespace) ||
    compare(a.kind, b.kind)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Definitions of one host in one namespace become one service; the first to define a port keeps it. */
function mergeServices(services: readonly MeshService[]): MeshService[] {
  const merged = new Map<string, MeshService>();
  for (const service of services) {
    const key = `${service.hostname} ${service.namespace}`;
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
