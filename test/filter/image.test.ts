// Images that were damaged, on the way or on purpose.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TrafficFilter } from "../../controlplane/wasm-host/traffic-filter.js";
import * as tags from "../../filters/policy/tags.js";
import { fuzzImages } from "./image-fuzzer.js";
import { compile, MODULE, match, prefix, regex, rule } from "./traffic-envoy.js";

test("The names the filter asks for are those the routes are given", () => {
  expect(tags.IMAGE_PROPERTY.split("\0").at(-1)).toBe(tags.IMAGE_METADATA_KEY);
  expect(tags.ROUTE_FILTER_STATE).toBe("wasm.route");
  expect(tags.HEADER_SIZE).toBe(tags.HEADER_DIRECTORY + 8 * tags.SECTION_COUNT);
});

test("Any single changed byte makes the filter refuse the image", () => {
  const filter = new TrafficFilter(readFileSync(MODULE));
  const compiled = compile([
    rule("a", match({ uri: prefix("/a") })),
    rule("b", match({ uri: regex("/b.*x") })),
    rule("c"),
  ]);
  const headers = [[":path", "/a"]] as const;
  expect(filter.decide(compiled, headers, { now: 0, random: 0n }).route).toBe("a");
  for (let i = 0; i < compiled.image.length; i++) {
    const image = Uint8Array.from(compiled.image);
    image[i] = (image[i] as number) ^ (1 << (i % 8));
    // The identity that the route's name gives is another each time, or the filter would not look again.
    const hash = i.toString(16).padStart(32, "0");
    expect(
      filter.decide({ ...compiled, image, hash }, headers, { now: 0, random: 0n }).route,
      `byte ${i}`,
    ).toBeUndefined();
  }
  expect(filter.counters.get("headgate.images_refused")).toBe(compiled.image.length);
});

test("An image under another image's name is refused", () => {
  const filter = new TrafficFilter(readFileSync(MODULE));
  const [a, b] = [compile([rule("a")]), compile([rule("b")])];
  expect(filter.decide({ ...a, image: b.image }, [], { now: 0, random: 0n }).route).toBeUndefined();
});

test("Mutated images with a fitting checksum are refused or read, and never trap", () => {
  const { images, accepted, refused } = fuzzImages(7, { images: 4000 });
  expect(images).toBe(4000);
  expect(accepted).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});
