// Mutates policy images and has the filter decide by them: it must refuse them or decide, and never trap.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import type { CompiledPolicy } from "../../controlplane/policy/compile.js";
import type { PolicyRule } from "../../controlplane/policy/rule.js";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import * as tags from "../../filters/policy/tags.js";
import { request, rules } from "./arbitrary.js";
import { identityOf, isSealed, seal } from "./image-seal.js";
import { compile, MODULE } from "./traffic-envoy.js";

export interface FuzzResult {
  readonly images: number;
  readonly accepted: number;
  readonly refused: number;
}

/**
 * Tries mutated images until the count or the time is reached. Throws, saying the seed and the number of the image,
 * when the filter traps, or accepts an image whose checksum does not fit. report is called about once a second.
 */
export function fuzzImages(
  seed: number,
  { images, milliseconds = Number.POSITIVE_INFINITY }: { images: number; milliseconds?: number },
  report: (result: FuzzResult) => void = () => {},
): FuzzResult {
  const random = randomNumbers(seed);
  const policies = samplePolicies(seed);
  const requests = fc.sample(request, { seed, numRuns: 8 });
  const deadline = performance.now() + milliseconds;
  let filter = new TrafficFilter(readFileSync(MODULE));
  let reported = performance.now();
  let accepted = 0;
  let done = 0;
  for (; done < images && performance.now() < deadline; done++) {
    // A fresh instance now and then: a refused image is remembered for as long as an instance lives.
    if (done % 20_000 === 19_999) filter = new TrafficFilter(readFileSync(MODULE));
    const original = policies[random(policies.length)] as CompiledPolicy;
    const fresh = Uint8Array.from(original.image);
    seal(fresh, randomIdentity(random));
    const image = mutate(fresh, random);
    const honest = random(4) === 0;
    if (!honest) seal(image, randomIdentity(random));
    try {
      if (decideAll(filter, { ...original, image, hash: identityOf(image) }, requests, done)) {
        accepted++;
        if (honest && !isSealed(image)) throw new Error("an image with a wrong checksum was accepted");
      }
    } catch (error) {
      throw new Error(`seed ${seed}, image ${done}: ${String(error)}`, { cause: error });
    }
    if (performance.now() - reported > 1000) {
      reported = performance.now();
      report({ images: done, accepted, refused: done - accepted });
    }
  }
  return { images: done, accepted, refused: done - accepted };
}

/** True if the filter accepted the image, whatever it decided then. */
function decideAll(
  filter: TrafficFilter,
  compiled: CompiledPolicy,
  requests: readonly { method: string; path: string; headers: readonly (readonly [string, string])[] }[],
  now: number,
): boolean {
  const loaded = () => filter.counters.get("headgate.images_loaded") ?? 0;
  const before = loaded();
  for (const { method, path, headers } of requests) {
    const seen = [
      [":method", method],
      [":path", path],
      [":authority", "a.example"],
      [":scheme", "http"],
      ...headers,
    ] as const;
    filter.decide(compiled, seen, { now, random: BigInt(now) }, "10.0.0.1:80");
    if (loaded() === before) return false;
  }
  return true;
}

/** Policies that use every section of the image. */
function samplePolicies(seed: number): CompiledPolicy[] {
  const sampled = [
    ...fc.sample(rules(1, 5), { seed, numRuns: 20 }),
    ...fc.sample(rules(60, 80, 1), { seed, numRuns: 3 }),
  ];
  return sampled.map((generated) => compile(generated.map(withOutcome)));
}

function withOutcome(rule: PolicyRule, i: number): PolicyRule {
  const destinations = [
    { route: `a-${i}`, weight: 3 },
    { route: `b-${i}`, weight: 1 },
  ];
  const kinds = [
    { type: "header", name: "x-a" },
    { type: "cookie", name: "c" },
    { type: "queryParameter", name: "q" },
    { type: "sourceAddress" },
  ] as const;
  const key = kinds[i % kinds.length] as (typeof kinds)[number];
  const ramp = [
    { at: 0, weights: [1, 0] },
    { at: 100_000, weights: [0, 1] },
  ];
  return {
    ...rule,
    destinations,
    fault: { delay: { millis: 1, percentage: 50 }, abort: { httpStatus: 500, percentage: 50 }, expiresAt: 1e12 },
    rollout: {
      sticky: { key, salt: "s" },
      ramp,
      override: {
        header: "x-b",
        values: new Map([
          ["a", 0],
          ["ab", 1],
        ]),
      },
    },
  };
}

function mutate(original: Uint8Array, random: (limit: number) => number): Uint8Array {
  const image = Uint8Array.from(original);
  const view = new DataView(image.buffer);
  const interesting = [
    0,
    1,
    2,
    3,
    7,
    0xff,
    0x7fff,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xfffffffe,
    0xffffffff,
    image.length,
  ];
  for (let edits = 1 + random(3); edits > 0; edits--) {
    // Half of the edits go to the header, whose few bytes matter most.
    const limit = random(2) === 0 ? tags.HEADER_SIZE : image.length;
    const word = random(limit >> 2) << 2;
    const kind = random(5);
    if (kind === 0) image[random(limit)] = random(256);
    else if (kind === 1) view.setUint32(word, interesting[random(interesting.length)] as number, true);
    else if (kind === 2) view.setUint32(word, view.getUint32(word, true) + random(9) - 4, true);
    else if (kind === 3) view.setUint32(word, view.getUint32(random(image.length >> 2) << 2, true), true);
    else image.copyWithin(word, random(image.length), Math.min(image.length, word + random(64)));
  }
  return random(20) === 0 ? image.slice(0, random(image.length)) : image;
}

function randomIdentity(random: (limit: number) => number): Uint8Array {
  return Uint8Array.from({ length: tags.IDENTITY_LENGTH }, () => random(256));
}

/** Whole numbers below a limit, from a seed. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % limit;
  };
}
