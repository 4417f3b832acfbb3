// Long runs of resources, of which several streams are sent the same.
import type { ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import { Recent } from "./recent.js";
import type { XdsResource } from "./snapshot.js";

/** Resources in the order in which they are sent. Never changed. */
export interface Run {
  readonly resources: readonly XdsResource[];
  readonly names: readonly string[];
  readonly byName: ResourceMap;
}

/** About the largest response. */
export const RESPONSE_BYTES = 1024 * 1024;
const LEAST_WEIGHT = 512;

/** What a resource counts for in a response that is bounded, in bytes: thousands of small ones take their time as well. */
export function weightOf({ any }: XdsResource): number {
  return Math.max(any.length, LEAST_WEIGHT);
}

/** Shorter runs are made faster than found. */
const LEAST_IN_RUN = 64;

const MOST_SHARED_BYTES = 32 * 1024 * 1024;

const recent = new Recent(MOST_SHARED_BYTES, {
  make: createRun,
  isSame: isSameRun,
  sizeOf: ({ resources }) => sizeOf(resources),
});

/** The run of these resources, in this order, which all who ask for it share; undefined for a short one. */
export function sharedRun(resources: readonly XdsResource[]): Run | undefined {
  return resources.length < LEAST_IN_RUN ? undefined : recent.of(resources);
}

const loads = new WeakMap<ResourceMap, Map<number, readonly Run[]>>();

/** All resources of a map, in runs of about so many bytes; worked out once a map, and once for what maps share. */
export function runsOf(resources: ResourceMap, maxBytes: number): readonly Run[] {
  const { shared, own } = partsOf(resources);
  const bySize = loads.get(shared) ?? new Map<number, readonly Run[]>();
  loads.set(shared, bySize);
  const runs = bySize.get(maxBytes) ?? makeRuns(shared, maxBytes);
  bySize.set(maxBytes, runs);
  return own.size === 0 ? runs : [...runs, ...makeRuns(own, maxBytes)];
}

function makeRuns(resources: ResourceMap, maxBytes: number): readonly Run[] {
  const runs: XdsResource[][] = [];
  let bytes = maxBytes;
  for (const resource of resources.values()) {
    if (bytes >= maxBytes) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)?.push(resource);
    bytes += weightOf(resource);
  }
  return runs.map(createRun);
}

function createRun(resources: readonly XdsResource[]): Run {
  return {
    resources,
    names: resources.map(({ name }) => name),
    byName: new Map(resources.map((resource) => [resource.name, resource])),
  };
}

function sizeOf(resources: readonly XdsResource[]): number {
  return resources.reduce((sum, { any }) => sum + any.length, 0);
}

/** The same resources in the same order. */
export function isSameRun(a: readonly XdsResource[], b: readonly XdsResource[]): boolean {
  return a === b || (a.length === b.length && a.every((resource, index) => resource === b[index]));
}
