// The wire form of responses, written around the resources' cached encodings, which are copied as they are.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Message } from "./message.js";
import type { Response } from "./protocol.js";
import { Recent } from "./recent.js";
import { isSameRun } from "./runs.js";
import type { XdsResource } from "./snapshot.js";

const RESOURCE_TYPE_URL = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/** The field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse. */
const DELTA = { systemVersionInfo: 1, resources: 2, typeUrl: 4, nonce: 5, removedResources: 6 } as const;
/** The field numbers of envoy.service.discovery.v3.DiscoveryResponse. */
const SOTW = { versionInfo: 1, resources: 2, typeUrl: 4, nonce: 5 } as const;
/** The field numbers of envoy.service.discovery.v3.Resource. */
const RESOURCE = { version: 1, resource: 2, name: 3, ttl: 6 } as const;
const ANY = { typeUrl: 1, value: 2 } as const;
const DURATION = { seconds: 1, nanos: 2 } as const;

/** Shorter runs are encoded faster than found. */
const LEAST_IN_RUN = 64;
const MOST_ENCODED_BYTES = 32 * 1024 * 1024;
const encodedRuns = new Recent(MOST_ENCODED_BYTES, {
  make: encodeRun,
  isSame: isSameRun,
  sizeOf: ({ length }) => length,
});

/** An encoded DeltaDiscoveryResponse. */
export function encodeDelta(response: Response): Message {
  const { resources, heartbeat } = response;
  const head = new BinaryWriter();
  text(head, DELTA.typeUrl, response.typeUrl);
  text(head, DELTA.nonce, response.nonce);
  text(head, DELTA.systemVersionInfo, response.version);
  for (const name of response.removed) text(head, DELTA.removedResources, name);
  if (heartbeat || resources.length < LEAST_IN_RUN) {
    return new Message(deltaResources(head, resources, heartbeat).finish());
  }
  return new Message(head.finish(), encodedRuns.of(resources));
}

/** Has what is sent of a long run at hand for those who are sent it soon. */
export function encodeAhead(run: readonly XdsResource[]): void {
  if (run.length >= LEAST_IN_RUN) encodedRuns.of(run);
}

interface Measured {
  readonly resource: XdsResource;
  readonly nameBytes: number;
  readonly versionBytes: number;
  /** Of the encoded Resource. */
  readonly bytes: number;
}

/**
 * As deltaResources(), for thousands of resources at a third of the cost: their lengths are known before anything is
 * written. Those with a TTL go the other way.
 */
function encodeRun(resources: readonly XdsResource[]): Uint8Array {
  if (resources.some(({ ttlMillis }) => ttlMillis !== undefined)) {
    return deltaResources(new BinaryWriter(), resources, false).finish();
  }
  const measured = resources.map(measure);
  const total = measured.reduce((sum, { bytes }) => sum + lengthOfField(bytes), 0);
  const out = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const { resource, nameBytes, versionBytes, bytes } of measured) {
    at = start(out, at, DELTA.resources, bytes);
    at = start(out, at, RESOURCE.version, versionBytes);
    at = writeText(out, at, resource.version, versionBytes);
    at = start(out, at, RESOURCE.resource, resource.any.length);
    out.set(resource.any, at);
    at = start(out, at + resource.any.length, RESOURCE.name, nameBytes);
    at = writeText(out, at, resource.name, nameBytes);
  }
  return out;
}

function measure(resource: XdsResource): Measured {
  const [nameBytes, versionBytes] = [bytesOf(resource.name), bytesOf(resource.version)];
  const bytes = lengthOfField(versionBytes) + lengthOfField(resource.any.length) + lengthOfField(nameBytes);
  return { resource, nameBytes, versionBytes, bytes };
}

/** Of short texts in ASCII, as nearly all are, faster than by Buffer. */
function bytesOf(text: string): number {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text);
  return text.length;
}

/** Gives where the text ends. */
function writeText(out: Buffer, at: number, text: string, bytes: number): number {
  if (bytes !== text.length) return at + out.write(text, at, "utf8");
  for (let index = 0; index < bytes; index++) out[at + index] = text.charCodeAt(index);
  return at + bytes;
}

/** With a tag of one byte. */
function lengthOfField(bytes: number): number {
  let length = 2 + bytes;
  for (let left = bytes >>> 7; left > 0; left >>>= 7) length++;
  return length;
}

/** Writes a field's tag and length, and gives where its content begins. */
function start(out: Uint8Array, at: number, field: number, length: number): number {
  let next = at;
  out[next++] = (field << 3) | WireType.LengthDelimited;
  let left = length;
  for (; left > 0x7f; left >>>= 7) out[next++] = (left & 0x7f) | 0x80;
  out[next++] = left;
  return next;
}

function deltaResources(writer: BinaryWriter, resources: readonly XdsResource[], heartbeat: boolean): BinaryWriter {
  for (const resource of resources) {
    writer.tag(DELTA.resources, WireType.LengthDelimited).fork();
    wrapper(writer, resource, resource.version, heartbeat);
    writer.join();
  }
  return writer;
}

/** An encoded DiscoveryResponse. Only resources with a TTL go into a wrapper, and only for clients that know it. */
export function encodeSotw(response: Response): Message {
  const writer = new BinaryWriter();
  text(writer, SOTW.versionInfo, response.version);
  for (const resource of response.resources) {
    writer.tag(SOTW.resources, WireType.LengthDelimited);
    if (!response.wrapped || resource.ttlMillis === undefined) {
      writer.bytes(resource.any);
      continue;
    }
    writer.fork();
    text(writer, ANY.typeUrl, RESOURCE_TYPE_URL);
    writer.tag(ANY.value, WireType.LengthDelimited).fork();
    wrapper(writer, resource, response.version, response.heartbeat);
    writer.join().join();
  }
  text(writer, SOTW.typeUrl, response.typeUrl);
  text(writer, SOTW.nonce, response.nonce);
  return new Message(writer.finish());
}

function wrapper(writer: BinaryWriter, resource: XdsResource, version: string, heartbeat: boolean): void {
  text(writer, RESOURCE.version, version);
  if (!heartbeat) writer.tag(RESOURCE.resource, WireType.LengthDelimited).bytes(resource.any);
  text(writer, RESOURCE.name, resource.name);
  if (resource.ttlMillis === undefined) return;
  writer.tag(RESOURCE.ttl, WireType.LengthDelimited).fork();
  writer.tag(DURATION.seconds, WireType.Varint).int64(Math.floor(resource.ttlMillis / 1000));
  writer.tag(DURATION.nanos, WireType.Varint).int32(Math.floor((resource.ttlMillis % 1000) * 1_000_000));
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}
