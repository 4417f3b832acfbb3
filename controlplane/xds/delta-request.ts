// DeltaDiscoveryRequest from the wire. A client that comes back names thousands of resources with their versions, which
// reflection takes long for.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Node, NodeSchema } from "../gen/envoy/config/core/v3/base_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";
import { Claims } from "./claims.js";
import { sharedNames } from "./recent-names.js";

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
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const subscribe: string[] = [];
  /** Where the names to subscribe to lie, if together. */
  let [start, end, isTogether] = [0, 0, true];
  const unsubscribe: string[] = [];
  const claims = new Claims(bytes);
  let [typeUrl, responseNonce] = ["", ""];
  let node: Node | undefined;
  let errorDetail: Status | undefined;
  while (reader.pos < reader.len) {
    const at = reader.pos;
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else if (field === FIELD.subscribe) {
      isTogether &&= subscribe.length === 0 || at === end;
      if (subscribe.length === 0) start = at;
      subscribe.push(string(reader, text));
      end = reader.pos;
    } else if (field === FIELD.versions) claims.read(reader);
    else if (field === FIELD.unsubscribe) unsubscribe.push(string(reader, text));
    else if (field === FIELD.typeUrl) typeUrl = reader.string();
    else if (field === FIELD.nonce) responseNonce = reader.string();
    else if (field === FIELD.node) node = fromBinary(NodeSchema, reader.bytes());
    else if (field === FIELD.error) errorDetail = fromBinary(StatusSchema, reader.bytes());
    else reader.skip(wireType, field);
  }
  return {
    typeUrl,
    resourceNamesSubscribe: isTogether ? sharedNames(text.subarray(start, end), subscribe) : subscribe,
    resourceNamesUnsubscribe: unsubscribe,
    initialResourceVersions: claims,
    responseNonce,
    ...(node === undefined ? {} : { node }),
    ...(errorDetail === undefined ? {} : { errorDetail }),
  };
}

/** As reader.string(), which takes twice as long. */
function string(reader: BinaryReader, text: Buffer): string {
  const length = reader.uint32();
  const start = reader.pos;
  reader.pos += length;
  if (reader.pos > reader.len) throw new RangeError("a name ends behind the message");
  return text.toString("utf8", start, reader.pos);
}
