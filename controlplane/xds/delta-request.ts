// DeltaDiscoveryRequest from the wire. A client that comes back names thousands of resources with their versions, which
// reflection takes three times as long for.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type Node, NodeSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";

/** What is read of envoy.service.discovery.v3.DeltaDiscoveryRequest. */
export interface DeltaRequest {
  readonly node?: Node;
  readonly typeUrl: string;
  readonly resourceNamesSubscribe: readonly string[];
  readonly resourceNamesUnsubscribe: readonly string[];
  readonly initialResourceVersions: ReadonlyMap<string, string>;
  readonly responseNonce: string;
  readonly errorDetail?: Status;
}

/** The message's field numbers. */
const FIELD = { node: 1, typeUrl: 2, subscribe: 3, unsubscribe: 4, versions: 5, nonce: 6, error: 7 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const LENGTH_DELIMITED = 2;

/** Throws on bytes that are no such request. */
export function decodeDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const reader = new BinaryReader(bytes);
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const versions = new Map<string, string>();
  let [typeUrl, responseNonce] = ["", ""];
  let node: Node | undefined;
  let errorDetail: Status | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== LENGTH_DELIMITED) reader.skip(wireType, field);
    else if (field === FIELD.subscribe) subscribe.push(reader.string());
    else if (field === FIELD.versions) readEntry(reader, versions);
    else if (field === FIELD.unsubscribe) unsubscribe.push(reader.string());
    else if (field === FIELD.typeUrl) typeUrl = reader.string();
    else if (field === FIELD.nonce) responseNonce = reader.string();
    else if (field === FIELD.node) node = fromBinary(NodeSchema, reader.bytes());
    else if (field === FIELD.error) errorDetail = fromBinary(StatusSchema, reader.bytes());
    else reader.skip(wireType, field);
  }
  return {
    typeUrl,
    resourceNamesSubscribe: subscribe,
    resourceNamesUnsubscribe: unsubscribe,
    initialResourceVersions: versions,
    responseNonce,
    ...(node === undefined ? {} : { node }),
    ...(errorDetail === undefined ? {} : { errorDetail }),
  };
}

/** One entry of the map, read where it lies. */
function readEntry(reader: BinaryReader, versions: Map<string, string>): void {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError("a map entry ends behind the message");
  let [key, value] = ["", ""];
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (wireType !== LENGTH_DELIMITED) reader.skip(wireType, field);
    else if (field === ENTRY.key) key = reader.string();
    else if (field === ENTRY.value) value = reader.string();
    else reader.skip(wireType, field);
  }
  if (reader.pos !== end) throw new RangeError("a map entry's field ends behind the entry");
  versions.set(key, value);
}
