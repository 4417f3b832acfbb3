// The decoder of delta requests, held against the one that protobuf's reflection gives.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaDiscoveryRequestSchema } from "../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeDeltaRequest } from "../../controlplane/xds/delta-request.js";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const request = fc.record({
  typeUrl: text,
  responseNonce: text,
  resourceNamesSubscribe: fc.array(text, { maxLength: 5 }),
  resourceNamesUnsubscribe: fc.array(text, { maxLength: 5 }),
  initialResourceVersions: fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true }),
  node: fc.option(fc.record({ id: text, cluster: text }), { nil: undefined }),
  errorDetail: fc.option(fc.record({ code: fc.nat(16), message: text }), { nil: undefined }),
});

function reflected(bytes: Uint8Array) {
  const {
    $typeName: _,
    $unknown: __,
    resourceLocatorsSubscribe: ___,
    resourceLocatorsUnsubscribe: ____,
    ...fields
  } = fromBinary(DeltaDiscoveryRequestSchema, bytes);
  const { initialResourceVersions, ...rest } = fields;
  return { ...rest, initialResourceVersions: new Map(Object.entries(initialResourceVersions)) };
}

function decoded(bytes: Uint8Array) {
  const { initialResourceVersions, ...rest } = decodeDeltaRequest(bytes);
  return { ...rest, initialResourceVersions: new Map(initialResourceVersions) };
}

/** What it gives, or that it throws. */
function outcome<T>(decode: () => T): T | "refused" {
  try {
    return decode();
  } catch {
    return "refused";
  }
}

test("every request is read as protobuf says", () => {
  fc.assert(
    fc.property(request, (init) => {
      const bytes = toBinary(
        DeltaDiscoveryRequestSchema,
        create(DeltaDiscoveryRequestSchema, init as Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]),
      );
      expect(decoded(bytes)).toEqual(reflected(bytes));
    }),
    { numRuns: 300, seed: 1 },
  );
});

test("bytes that were cut or changed are refused, or read as protobuf says", () => {
  const damage = fc.tuple(request, fc.nat(), fc.nat(255), fc.boolean());
  fc.assert(
    fc.property(damage, ([init, at, byte, cut]) => {
      const whole = toBinary(
        DeltaDiscoveryRequestSchema,
        create(DeltaDiscoveryRequestSchema, init as Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]),
      );
      const bytes = Uint8Array.from(whole);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      const damaged = cut ? bytes.subarray(0, at % (bytes.length + 1)) : bytes;
      const expected = outcome(() => reflected(damaged));
      const found = outcome(() => decoded(damaged));
      // Each of the two refuses some of what the other passes over; what both take, they read alike.
      if (found !== "refused" && expected !== "refused") expect(found).toEqual(expected);
    }),
    { numRuns: 2_000, seed: 2 },
  );
  expect(() => decodeDeltaRequest(Uint8Array.of(0xff, 0xff))).toThrow();
  // A name of five bytes, of which two are there.
  expect(() => decodeDeltaRequest(Uint8Array.of(0x1a, 5, 0x61, 0x62))).toThrow("a name ends behind the message");
});
