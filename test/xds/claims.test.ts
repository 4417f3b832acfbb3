// What a client says it holds reads as a plain map would, however it is written and whatever the snapshot has.
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DeltaDiscoveryRequestSchema } from "../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeDeltaRequest } from "../../controlplane/xds/delta-request.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { resource } from "./support/resources.js";

const VERSIONS_FIELD = 5;
const names = fc.constantFrom<string>("a", "bb", "a long name of a cluster", "ä", "another", "2", "3");
const versions = fc.constantFrom<string>("1", "2", "", "a longer version", "another version");
const map = fc.uniqueArray(fc.tuple(names, versions), { selector: ([name]) => name });

function requestOf(entries: readonly (readonly [string, string])[]) {
  const initialResourceVersions = Object.fromEntries(entries);
  return decodeDeltaRequest(
    toBinary(
      DeltaDiscoveryRequestSchema,
      create(DeltaDiscoveryRequestSchema, { typeUrl: CLUSTER, initialResourceVersions }),
    ),
  );
}

/** The version stands before the name, which no serializer does and every parser takes. */
function turnedRequestOf(entries: readonly (readonly [string, string])[]) {
  const writer = new BinaryWriter();
  for (const [name, version] of entries) {
    writer.tag(VERSIONS_FIELD, WireType.LengthDelimited).fork();
    writer.tag(2, WireType.LengthDelimited).string(version);
    writer.tag(1, WireType.LengthDelimited).string(name).join();
  }
  return decodeDeltaRequest(writer.finish());
}

test("what sets claims apart from resources makes the one from the other, in whatever order they come", () => {
  fc.assert(
    fc.property(map, map, fc.constantFrom(requestOf, turnedRequestOf), (held, claimed, write) => {
      const resources = new Map(held.map(([name, version]) => [name, resource(CLUSTER, name, version)]));
      const { differing, absent } = write(claimed).initialResourceVersions.against(resources);
      const made = new Map(held);
      for (const name of absent) made.delete(name);
      for (const [name, version] of differing) made.set(name, version);
      expect(made).toEqual(new Map(claimed));
      if (write === requestOf) {
        const isSame = ([name, version]: readonly [string, string]) => resources.get(name)?.version === version;
        // An empty version is left out on the wire: it is told apart, and is the same for all that.
        expect(differing.filter(([, version]) => version !== "").filter(isSame)).toEqual([]);
      }
    }),
    { numRuns: 1_000, seed: 1 },
  );
});

test("thousands of claims are found among thousands of resources, those of one version too", () => {
  const count = 3_000;
  const all = Array.from({ length: count }, (_, index) => [`cluster ${index}`, index % 3 === 0 ? "same" : `${index}`]);
  const resources = new Map(all.map(([name = "", version = ""]) => [name, resource(CLUSTER, name, version)]));
  const claims = requestOf(
    all
      .filter((_, index) => index !== 7)
      .map(([name = "", version = ""], index) => [name, index === 1_000 ? "old" : version] as const)
      .reverse(),
  ).initialResourceVersions;
  expect(claims.against(resources)).toEqual({
    differing: [["cluster 1001", "old"]],
    absent: ["cluster 7", "cluster 1001"],
  });
});

test("names that may be too long or are empty are told, and otherwise none is read", () => {
  expect(requestOf([["name", "1"]]).initialResourceVersions.suspectNames(4)).toEqual([]);
  expect(requestOf([["name", "1"]]).initialResourceVersions.suspectNames(3)).toEqual(["name"]);
  expect(requestOf([["", "1"]]).initialResourceVersions.suspectNames(3)).toEqual([""]);
});
