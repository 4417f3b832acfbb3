// The version of all that there is of a type, made from the versions of the resources.
import { difference, type ResourceMap } from "./difference.js";
import { partsOf } from "./joined-resources.js";
import type { XdsResource } from "./snapshot.js";

/** Sums of what two hashes give for each resource, so that neither order nor parts show. */
type Sums = readonly [number, number];

const SEEDS = [0x9747b28c, 0x3c074a61] as const;
const FACTORS = [0x85ebca6b, 0xc2b2ae35] as const;
const HEX_DIGITS = 8;

const known = new WeakMap<ResourceMap, Sums>();

/**
 * Equal for equal names and versions, in whatever order they were put in and in whichever process; 16 hex digits. It tells
 * states apart and is nothing that somebody could not forge: the resources' own versions hash their content. With a map
 * whose version is known, and that differs little, it costs little.
 */
export function versionOf(resources: ResourceMap, before?: ResourceMap): string {
  const [now, was] = [partsOf(resources), before && partsOf(before)];
  const shared = sumsOf(now.shared, was?.shared);
  const own = sumsOf(now.own, was?.own);
  return hex(mixed(shared[0] + own[0], SEEDS[0])) + hex(mixed(shared[1] + own[1], SEEDS[1]));
}

function sumsOf(resources: ResourceMap, before: ResourceMap | undefined): Sums {
  const found = known.get(resources);
  if (found !== undefined) return found;
  const start = before && known.get(before);
  const sums = before && start ? changedSums(start, before, resources) : sumsOfAll(resources.values());
  known.set(resources, sums);
  return sums;
}

function changedSums(start: Sums, before: ResourceMap, after: ResourceMap): Sums {
  const { changed, removed } = difference(before, after);
  const present = (names: readonly string[], map: ResourceMap) =>
    names.map((name) => map.get(name)).filter((resource) => resource !== undefined);
  const added = sumsOfAll(present(changed, after));
  const gone = sumsOfAll(present([...changed, ...removed], before));
  return [(start[0] + added[0] - gone[0]) | 0, (start[1] + added[1] - gone[1]) | 0];
}

function sumsOfAll(resources: Iterable<XdsResource>): Sums {
  let [first, second] = [0, 0];
  for (const { name, version } of resources) {
    let [a, b]: [number, number] = [SEEDS[0], SEEDS[1]];
    for (let index = 0; index < name.length; index++) {
      const unit = name.charCodeAt(index);
      a = step(a, unit, FACTORS[0]);
      b = step(b, unit, FACTORS[1]);
    }
    for (let index = 0; index < version.length; index++) {
      const unit = version.charCodeAt(index);
      a = step(a, unit, FACTORS[1]);
      b = step(b, unit, FACTORS[0]);
    }
    first = (first + mixed(a, name.length)) | 0;
    second = (second + mixed(b, name.length)) | 0;
  }
  return [first, second];
}

function step(hash: number, unit: number, factor: number): number {
  const product = Math.imul(hash ^ unit, factor);
  return product ^ (product >>> 15);
}

/** The finalizer of MurmurHash3, over both. */
function mixed(hash: number, more: number): number {
  let value = hash ^ more;
  value = Math.imul(value ^ (value >>> 16), FACTORS[0]);
  value = Math.imul(value ^ (value >>> 13), FACTORS[1]);
  return (value ^ (value >>> 16)) >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(HEX_DIGITS, "0");
}
