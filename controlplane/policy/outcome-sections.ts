// What happens once a rule matched -> the policy image: destinations, faults and rollouts.
import * as tags from "../../filters/policy/tags.js";
import type { Inputs, Key } from "./inputs.js";
import { murmur3 } from "./murmur3.js";
import type { PolicyFault, PolicyRollout, PolicyRule } from "./rule.js";
import type { Sections } from "./sections.js";

/**
 * Writes the rules and what they refer to. Overrides refer to keys, whose numbers are known later: the function that
 * it returns writes those.
 */
export function writeOutcomes(
  rules: readonly PolicyRule[],
  inputs: Inputs,
  sections: Sections,
): (numbers: ReadonlyMap<Key, number>) => void {
  const routes = new Map<string, number>();
  const labels = new Map<string, number>();
  const pending: { readonly key: Key; readonly destination: number }[] = [];
  const routeIndex = (id: string): number =>
    indexOf(routes, id, (bytes) => sections.routes.add(sections.bytes.add(bytes), bytes.length));
  const labelIndex = (label: string): number =>
    indexOf(labels, label, (bytes) => sections.labels.add(sections.bytes.add(bytes), bytes.length, murmur3(bytes)));
  for (const rule of rules) {
    const start = sections.destinations.count;
    for (const { route, weight, label = route } of rule.destinations)
      sections.destinations.add(routeIndex(route), weight, labelIndex(label));
    sections.rules.add(
      start,
      rule.destinations.length,
      rule.destinations.reduce((sum, { weight }) => sum + weight, 0),
      rule.fault && !rule.fault.perTry ? sections.faults.add(...faultWords(rule.fault)) : tags.NONE,
      rule.rollout ? writeRollout(rule.rollout, inputs, sections, pending) : tags.NONE,
    );
  }
  return (numbers) => {
    for (const { key, destination } of pending) sections.overrides.add(numbers.get(key) as number, destination);
  };
}

function indexOf(known: Map<string, number>, text: string, add: (bytes: Uint8Array) => number): number {
  let index = known.get(text);
  if (index === undefined) {
    index = add(Buffer.from(text));
    known.set(text, index);
  }
  return index;
}

/** One record of FAULTS by itself, for a route's metadata; see tags.TRY_FAULT_METADATA_KEY. */
export function encodeFault(fault: PolicyFault): Uint8Array {
  return new Uint8Array(Int32Array.from(faultWords(fault), (word) => word | 0).buffer);
}

function faultWords({ delay, abort, perTry, expiresAt }: PolicyFault): number[] {
  return [
    odds(delay?.percentage),
    delay?.millis ?? 0,
    odds(abort?.percentage),
    abort?.httpStatus ?? 200,
    abort?.grpcStatus ?? tags.NONE,
    perTry ? 1 : 0,
    ...long(expiresAt ?? 0),
  ];
}

/** A percentage in millionths. */
function odds(percentage = 0): number {
  return Math.round(percentage * (tags.ODDS_ALWAYS / 100));
}

function writeRollout(
  { sticky, ramp = [], override }: PolicyRollout,
  inputs: Inputs,
  sections: Sections,
  pending: { key: Key; destination: number }[],
): number {
  const ramps = sections.ramps.count;
  for (const { at, weights } of ramp) {
    const start = sections.weights.count;
    for (const weight of weights) sections.weights.add(weight);
    sections.ramps.add(...long(at), start);
  }
  const overrides = pending.length;
  const overrideSlot = override ? inputs.header(override.header.toLowerCase()) : undefined;
  for (const [value, destination] of override?.values ?? [])
    pending.push({
      key: inputs.exact(overrideSlot as NonNullable<typeof overrideSlot>, Buffer.from(value)),
      destination,
    });
  return sections.rollouts.add(
    ...stickyKey(sticky?.key, inputs, sections),
    sticky ? murmur3(Buffer.from(sticky.salt)) : 0,
    ramps,
    ramp.length,
    overrideSlot?.index ?? tags.NONE,
    overrides,
    override?.values.size ?? 0,
  );
}

/** The fields from ROLLOUT_KEY to ROLLOUT_COOKIE_LENGTH. */
function stickyKey(key: NonNullable<PolicyRollout["sticky"]>["key"] | undefined, inputs: Inputs, sections: Sections) {
  switch (key?.type) {
    case undefined:
      return [tags.STICKY_NONE, tags.NONE, 0, 0];
    case "sourceAddress":
      return [tags.STICKY_SOURCE_ADDRESS, tags.NONE, 0, 0];
    case "header":
      return [tags.STICKY_SLOT, inputs.header(key.name.toLowerCase()).index, 0, 0];
    case "queryParameter":
      return [tags.STICKY_SLOT, inputs.queryParameter(key.name).index, 0, 0];
    case "cookie": {
      const name = Buffer.from(key.name);
      return [tags.STICKY_COOKIE, inputs.header("cookie").index, sections.bytes.add(name), name.length];
    }
  }
}

/** A 64-bit integer as two words, the low one first. */
function long(value: number): [number, number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}
