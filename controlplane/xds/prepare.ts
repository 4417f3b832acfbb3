// What it takes to serve resources, whoever the client is, done in steps before the first client is served.
import { checkResources } from "./cache.js";
import type { ResourceMap } from "./difference.js";
import { encodeAhead } from "./encode.js";
import { orderOf } from "./name-order.js";
import { DEFAULT_ORDER, mostBytes } from "./order.js";
import { RESPONSE_BYTES, runsOf } from "./runs.js";
import type { TypeUrl } from "./snapshot.js";
import { versionOf } from "./version.js";

/** Each step takes some milliseconds for tens of thousands of resources, and next to nothing the second time. */
export function* prepareResources(types: ReadonlyMap<TypeUrl, ResourceMap>): Generator<void> {
  for (const [typeUrl, resources] of types) {
    checkResources(typeUrl, resources);
    yield;
    versionOf(resources);
    yield;
    runsOf(resources, mostBytes(DEFAULT_ORDER, typeUrl, RESPONSE_BYTES));
    yield;
    orderOf(resources);
    yield;
  }
}

/** Encodes what clients without anything are sent. For when some are about to come: others do not need it, and it is large. */
export function* encodeResources(types: ReadonlyMap<TypeUrl, ResourceMap>): Generator<void> {
  for (const [typeUrl, resources] of types) {
    for (const run of runsOf(resources, mostBytes(DEFAULT_ORDER, typeUrl, RESPONSE_BYTES))) {
      encodeAhead(run.resources);
      yield;
    }
  }
}
