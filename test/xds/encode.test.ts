// Responses as they go over the wire read back as what went in, short and long ones alike.
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DeltaDiscoveryResponseSchema } from "../../controlplane/gen/envoy/service/discovery/v3/discovery_pb.js";
import { encodeDelta } from "../../controlplane/xds/encode.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import type { XdsResource } from "../../controlplane/xds/snapshot.js";
import { resource } from "./support/resources.js";

/** Names whose lengths take one byte and two, in bytes more than in characters, around resources of all such lengths. */
const ODD = [1, 100, 126, 127, 128, 129, 16_000, 16_383, 16_384, 16_385, 20_000].flatMap((length) => [
  resource(CLUSTER, "n".repeat(length), "1"),
  resource(CLUSTER, `ü€${"n".repeat(length)}`, "v".repeat(length)),
]);
const MANY = Array.from({ length: 200 }, (_, index) => resource(CLUSTER, `c${index}`, `v${index}`));

function decoded(resources: readonly XdsResource[]) {
  const message = encodeDelta({
    typeUrl: CLUSTER,
    nonce: "7",
    version: "8",
    resources,
    removed: ["gone"],
    fresh: [],
    heartbeat: false,
    wrapped: false,
  });
  const bytes = Buffer.alloc(message.byteLength);
  message.copy(bytes, 0);
  return fromBinary(DeltaDiscoveryResponseSchema, bytes);
}

test.each([
  ["a few resources", ODD],
  ["many resources", [...ODD, ...MANY]],
  ["many resources of which some have a TTL", [...MANY, resource(CLUSTER, "short-lived", "1", 1_500)]],
  ["no resource", []],
])("a response of %s reads back as what went in", (_, resources) => {
  const { typeUrl, nonce, systemVersionInfo, removedResources, resources: read } = decoded(resources);
  expect([typeUrl, nonce, systemVersionInfo, removedResources]).toEqual([CLUSTER, "7", "8", ["gone"]]);
  const told = (all: readonly { name: string; version: string }[]) => all.map(({ name, version }) => [name, version]);
  expect(told(read)).toEqual(told(resources));
  for (const [index, { resource: any, ttl }] of read.entries()) {
    const { name, version, ttlMillis } = resources[index] as XdsResource;
    expect(any?.typeUrl).toBe(CLUSTER);
    expect(Buffer.from(any?.value ?? []).toString()).toBe(`${name}@${version}`);
    expect(ttl && Number(ttl.seconds) * 1_000 + ttl.nanos / 1e6).toBe(ttlMillis);
  }
});
