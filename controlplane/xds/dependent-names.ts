// Which resources depend on those that were sent: worked out once for a list that many streams are sent.
import type { ResourceMap } from "./difference.js";
import { inOne } from "./name-order.js";
import type { Dependents } from "./order.js";
import type { TypeUrl } from "./snapshot.js";

/** Names of one type that depend on others and exist, with the resources that they are of. */
export interface DependentNames {
  readonly resources: ResourceMap;
  readonly names: readonly string[];
}

/** Shorter lists are gone through faster than they are remembered. */
const LONG = 256;

interface Known {
  readonly dependents: Dependents;
  readonly typeUrl: TypeUrl;
  readonly byType: ReadonlyMap<TypeUrl, DependentNames>;
}

/** By the list that they depend on, for the resources that there were the last time. */
const known = new WeakMap<readonly string[], Known>();

/** By type; the lists never change, and are the same for the same long list of names and the same resources. */
export function dependentNames(
  dependents: Dependents,
  typeUrl: TypeUrl,
  names: readonly string[],
  resourcesOf: (typeUrl: TypeUrl) => ResourceMap,
): ReadonlyMap<TypeUrl, DependentNames> {
  const last = known.get(names);
  const isSame = ([type, { resources }]: [TypeUrl, DependentNames]) => resourcesOf(type) === resources;
  const isKnown = last?.dependents === dependents && last.typeUrl === typeUrl;
  if (isKnown && [...last.byType].every(isSame)) return last.byType;
  const byType = find(dependents, typeUrl, names, resourcesOf);
  if (names.length >= LONG) known.set(names, { dependents, typeUrl, byType });
  return byType;
}

function find(
  dependents: Dependents,
  typeUrl: TypeUrl,
  names: readonly string[],
  resourcesOf: (typeUrl: TypeUrl) => ResourceMap,
): ReadonlyMap<TypeUrl, DependentNames> {
  const lists = new Map<TypeUrl, { readonly resources: ResourceMap; readonly lists: (readonly string[])[] }>();
  for (const name of names) {
    const dependent = dependents(typeUrl, name);
    if (dependent === undefined) continue;
    const ofType = lists.get(dependent.typeUrl) ?? { resources: resourcesOf(dependent.typeUrl), lists: [] };
    lists.set(dependent.typeUrl, ofType);
    const { resources } = ofType;
    if ("prefix" in dependent) ofType.lists.push(startingWith(dependent.prefix, resources));
    else if (dependent.names.some((each) => resources.has(each))) {
      ofType.lists.push(dependent.names.filter((each) => resources.has(each)));
    }
  }
  return new Map([...lists].map(([type, found]) => [type, { resources: found.resources, names: inOne(found.lists) }]));
}

const byPrefix = new WeakMap<ResourceMap, Map<string, readonly string[]>>();

/** Worked out once a map and prefix, of which there are as many as route configurations. */
function startingWith(prefix: string, resources: ResourceMap): readonly string[] {
  const lists = byPrefix.get(resources) ?? new Map<string, readonly string[]>();
  byPrefix.set(resources, lists);
  const names = lists.get(prefix) ?? [...resources.keys()].filter((name) => name.startsWith(prefix));
  lists.set(prefix, names);
  return names;
}
