// One frozen picture of the mesh: services, policies and visibility, with the indexes that translation asks.
import type { Gateway } from "../resources/gateway.js";
import type { AnyResource, Kind } from "../resources/kinds.js";
import type { Secret } from "../resources/kubernetes.js";
import type { Sidecar } from "../resources/sidecar.js";
import type { StagedRollout } from "../resources/staged-rollout.js";
import type { Violation } from "../resources/violation.js";
import type { VirtualService } from "../resources/virtual-service.js";
import { analyze } from "./analysis/analyze.js";
import { resolveDelegates } from "./delegates.js";
import { type DestinationRuleIndex, indexDestinationRules } from "./destination-rules.js";
import { type Extension, orderExtensions } from "./extensions.js";
import { changeLists, listsOf, type ResourceLists } from "./resource-lists.js";
import { analyzeRollouts, rolloutKey } from "./rollouts.js";
import { indexServices, type Services } from "./services.js";
import { indexWorkloads, push, type Workloads } from "./workloads.js";

export interface MeshOptions {
  /** The namespace whose Sidecar and DestinationRules are defaults for all others. */
  readonly rootNamespace: string;
}

/**
 * Each part depends on some kinds alone, and is the same object as in the mesh before where no object of these kinds
 * changed.
 */
export interface Mesh {
  readonly options: MeshOptions;
  readonly lists: ResourceLists;
  readonly workloads: Workloads;
  readonly services: Services;
  /** Oldest first, delegates put in place. */
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: DestinationRuleIndex;
  /** By namespace/name, oldest first. */
  readonly gateways: ReadonlyMap<string, Gateway>;
  /** Of each namespace, oldest first. */
  readonly sidecars: ReadonlyMap<string, readonly Sidecar[]>;
  /** By rolloutKey; the oldest for each route. */
  readonly rollouts: ReadonlyMap<string, StagedRollout>;
  /** In the order of the filter chain. */
  readonly extensions: readonly Extension[];
  /** By namespace/name. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Faults between objects, found when first asked for; those of single objects are the source's. */
  readonly violations: readonly Violation[];
}

/** Builds the mesh of these objects. Equal objects in any order give an equal mesh. */
export function buildMesh(resources: Iterable<AnyResource>, options: MeshOptions): Mesh {
  return assemble(listsOf(resources), options, undefined);
}

/** The mesh after a change of some objects, with all that the change does not touch taken over. */
export function changeMesh(
  before: Mesh,
  resources: ReadonlyMap<string, AnyResource>,
  changed: ReadonlySet<string>,
): Mesh {
  return assemble(changeLists({ resources, changed, before: before.lists }), before.options, before);
}

function assemble(lists: ResourceLists, options: MeshOptions, before: Mesh | undefined): Mesh {
  const unchanged = (...kinds: readonly Kind[]) =>
    before !== undefined && kinds.every((kind) => lists.get(kind) === before.lists.get(kind));
  const reuse = <T>(part: (mesh: Mesh) => T, kinds: readonly Kind[], build: () => T): T =>
    before !== undefined && unchanged(...kinds) ? part(before) : build();
  const list = <K extends Kind>(kind: K) => listOf(lists, kind);

  const workloads = reuse(
    (mesh) => mesh.workloads,
    ["Pod", "WorkloadEntry", "Node"],
    () => indexWorkloads([...list("Pod"), ...list("WorkloadEntry"), ...list("Node")]),
  );
  const services = reuse(
    (mesh) => mesh.services,
    ["Service", "EndpointSlice", "ServiceEntry", "Pod", "WorkloadEntry", "Node"],
    () =>
      indexServices(
        [...list("Service"), ...list("EndpointSlice"), ...list("ServiceEntry")],
        workloads,
        before?.services,
      ),
  );
  const parts = {
    options,
    lists,
    workloads,
    services,
    virtualServices: reuse(
      (mesh) => mesh.virtualServices,
      ["VirtualService"],
      () => resolveDelegates(list("VirtualService")).roots,
    ),
    destinationRules: reuse(
      (mesh) => mesh.destinationRules,
      ["DestinationRule"],
      () => indexDestinationRules(list("DestinationRule"), options.rootNamespace),
    ),
    gateways: reuse(
      (mesh) => mesh.gateways,
      ["Gateway"],
      () => byName(list("Gateway")),
    ),
    sidecars: reuse(
      (mesh) => mesh.sidecars,
      ["Sidecar"],
      () => byNamespace(list("Sidecar")),
    ),
    rollouts: reuse(
      (mesh) => mesh.rollouts,
      ["StagedRollout"],
      () => byRoute(list("StagedRollout")),
    ),
    extensions: reuse(
      (mesh) => mesh.extensions,
      ["WasmPlugin", "TrafficExtension"],
      () => orderExtensions([...list("WasmPlugin"), ...list("TrafficExtension")]),
    ),
    secrets: reuse(
      (mesh) => mesh.secrets,
      ["Secret"],
      () => byName(list("Secret")),
    ),
  };
  return withViolations(parts);
}

/** Apart from the mesh before, which the getter would keep, and with it all that came before that. */
function withViolations(parts: Omit<Mesh, "violations">): Mesh {
  let violations: readonly Violation[] | undefined;
  return Object.freeze({
    ...parts,
    get violations(): readonly Violation[] {
      violations ??= Object.freeze([
        ...resolveDelegates(listOf(parts.lists, "VirtualService")).violations,
        ...analyze(this),
        ...analyzeRollouts(this, listOf(parts.lists, "StagedRollout")),
      ]);
      return violations;
    },
  });
}

function listOf<K extends Kind>(lists: ResourceLists, kind: K) {
  return (lists.get(kind) ?? []) as readonly Extract<AnyResource, { kind: K }>[];
}

function byName<R extends AnyResource>(resources: readonly R[]): ReadonlyMap<string, R> {
  return new Map(resources.map((resource) => [`${resource.meta.namespace}/${resource.meta.name}`, resource]));
}

function byNamespace<R extends AnyResource>(resources: readonly R[]): ReadonlyMap<string, readonly R[]> {
  const namespaces = new Map<string, R[]>();
  for (const resource of resources) push(namespaces, resource.meta.namespace, resource);
  return namespaces;
}

/** Oldest last, so that it is the one that stays. */
function byRoute(rollouts: readonly StagedRollout[]): ReadonlyMap<string, StagedRollout> {
  return new Map([...rollouts].reverse().map((rollout) => [rolloutKey(rollout.meta.namespace, rollout.spec), rollout]));
}
