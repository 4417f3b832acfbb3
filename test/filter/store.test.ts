// The filter's memory, however many policies come and go.
import { readFileSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import type { CompiledPolicy } from "../../controlplane/policy/compile.js";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import * as tags from "../../filters/policy/tags.js";
import { identityOf, seal } from "./image-seal.js";
import { compile, MODULE, match, prefix, rule } from "./traffic-envoy.js";

const MIB = 2 ** 20;
/** About half a megabyte. */
const large = policy(4000);
const small = policy(3);
let filter: TrafficFilter;

function policy(rules: number): CompiledPolicy {
  return compile([
    ...Array.from({ length: rules }, (_, i) => rule(`route-${i}`, match({ uri: prefix(`/service/${i}/`) }))),
    rule("rest"),
  ]);
}

/** The same policy as if it were another. */
function another(compiled: CompiledPolicy, n: number): CompiledPolicy {
  const image = Uint8Array.from(compiled.image);
  const identity = new Uint8Array(tags.IDENTITY_LENGTH);
  new DataView(identity.buffer).setUint32(0, n + 1);
  seal(image, identity);
  return { ...compiled, image, hash: identityOf(image) };
}

function routeOf(compiled: CompiledPolicy, now = 0): string | undefined {
  return filter.decide(compiled, [[":path", "/service/2/x"]], { now, random: 0n }).route;
}

function loaded(): number {
  return filter.counters.get("headgate.images_loaded") ?? 0;
}

beforeEach(() => {
  filter = new TrafficFilter(readFileSync(MODULE));
});

test("Policies that follow one another within moments stay within the bound, and each is decided by", () => {
  for (let n = 0; n < 300; n++) expect(routeOf(another(large, n))).toBe("route-2");
  expect(filter.memorySize).toBeGreaterThan(60 * MIB);
  expect(filter.memorySize).toBeLessThan(68 * MIB);
  const before = filter.memorySize;
  for (let n = 300; n < 600; n++) expect(routeOf(another(large, n))).toBe("route-2");
  expect(filter.memorySize).toBe(before);
});

test("A policy that replaced another keeps no memory for it once that is unused for a while", () => {
  for (let n = 0; n < 200; n++) expect(routeOf(another(large, n), n * 11_000)).toBe("route-2");
  expect(filter.memorySize).toBeLessThan(8 * MIB);
});

test("What is in use stays loaded while others come and go", () => {
  const used = Array.from({ length: 20 }, (_, n) => another(small, 1_000_000 + n));
  for (const compiled of used) routeOf(compiled);
  for (let n = 0; n < 200; n++) {
    routeOf(another(large, n), n * 11_000);
    for (const compiled of used) expect(routeOf(compiled, n * 11_000)).toBe("route-2");
  }
  expect(loaded()).toBe(used.length + 200);
});

test("More policies than there is room for are loaded again when they are asked for", () => {
  const many = 7000;
  for (let n = 0; n < many; n++) expect(routeOf(another(small, n))).toBe("route-2");
  expect(loaded()).toBe(many);
  expect(routeOf(another(small, 0))).toBe("route-2");
  expect(routeOf(another(small, many - 1))).toBe("route-2");
  expect(loaded()).toBe(many + 1);
});

test("Refused policies are remembered within bounds, too", () => {
  const broken = Uint8Array.from(small.image);
  broken[tags.HEADER_CHECKSUM] = (broken[tags.HEADER_CHECKSUM] as number) ^ 1;
  for (let n = 0; n < 20_000; n++) {
    const hash = n.toString(16).padStart(32, "0");
    expect(routeOf({ ...small, image: broken, hash })).toBeUndefined();
  }
  expect(routeOf(small)).toBe("route-2");
  expect(filter.memorySize).toBeLessThan(4 * MIB);
});

test("Requests take no memory", () => {
  routeOf(large);
  const before = filter.memorySize;
  for (let n = 0; n < 300_000; n++) routeOf(large);
  expect(filter.memorySize).toBe(before);
});
