// DeltaDiscoveryRequest from the wire. A client that comes back names thousands of resources with their versions, which
// reflection takes long for.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Node, NodeSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";
import { Claims } from "./claims.js";
import { NamesInBytes } from "./names-in-bytes.js";

/** What is read of envoy.service.discovery.v3.DeltaDiscoveryRequest. */
export interface DeltaRequest {
  readonly node?: Node;
  readonly typeUrl: string;
  readonly resourceNamesSubscribe: readonly string[];
  readonly resourceNamesUnsubscribe: readonly string[];
  readonly initialResourceVersions: Claims;
  readonly responseNonce: string;
  readonly errorDetail?: Status;
}

/** The message's field numbers. */
const FIELD = { node: 1, typeUrl: 2, subscribe: 3, unsubscribe: 4, versions: 5, nonce: 6, error: 7 } as const;

/** Throws on bytes that are no such request. The bytes must not change as long as the request is used. */
export function decodeDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const reader = new BinaryReader(bytes);
  const subscribe = new NamesInBytes(bytes);
  const unsubscribe = new NamesInBytes(bytes);
  const claims = new Claims(bytes);
  let [typeUrl, responseNonce] = ["", ""];
  let node: Node | undefined;
  let errorDetail: Status | undefined;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else if (field === FIELD.subscribe) subscribe.read(reader, start);
    else if (field === FIELD.versions) claims.read(reader);
    else if (field === FIELD.unsubscribe) unsubscribe.read(reader, start);
    else if (field === FIELD.typeUrl) typeUrl = reader.string();
    else if (field === FIELD.nonce) responseNonce = reader.string();
    else if (field === FIELD.node) node = fromBinary(NodeSchema, reader.bytes());
    else if (field === FIELD.error) errorDetail = fromBinary(StatusSchema, reader.bytes());
    else reader.skip(wireType, field);
  }
  return {
    typeUrl,
    resourceNamesSubscribe: subscribe.list(),
    resourceNamesUnsubscribe: unsubscribe.list(),
    initialResourceVersions: claims,
    responseNonce,
    ...(node === undefined ? {} : { node }),
    ...(errorDetail === undefined ? {} : { errorDetail }),
  };
}
