// The wire form of delta xDS as far as a simulated proxy needs it: requests are written, and of responses only names,
// versions and the nonce are read, once for all that many proxies are sent alike, so that measuring costs little beside what is
// measured.

/** One resource of a response; its content stays where it is. */
export interface ScannedResource {
  readonly name: string;
  readonly version: string;
  /** Where the encoded google.protobuf.Any lies in the response's body; empty for a heartbeat. */
  readonly start: number;
  readonly end: number;
}

export interface ScannedResponse extends ScannedBody {
  readonly typeUrl: string;
  readonly nonce: string;
}

/** The fields of a response from the first resource on. */
interface ScannedBody {
  readonly body: Buffer;
  readonly resources: readonly ScannedResource[];
  readonly removed: readonly string[];
}

export interface DeltaRequest {
  readonly typeUrl: string;
  /** An encoded envoy.config.core.v3.Node. */
  readonly node?: Uint8Array;
  readonly subscribe?: readonly string[];
  readonly versions?: Iterable<readonly [name: string, version: string]>;
  readonly nonce?: string;
  /** Rejects the response, with these words. */
  readonly error?: string;
}

/** The field numbers of envoy.service.discovery.v3.DeltaDiscoveryRequest. */
const REQUEST = { node: 1, typeUrl: 2, subscribe: 3, versions: 5, nonce: 6, error: 7 } as const;
/** The field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse. */
const RESPONSE = { resources: 2, typeUrl: 4, nonce: 5, removed: 6 } as const;
/** The field numbers of envoy.service.discovery.v3.Resource. */
const RESOURCE = { version: 1, resource: 2, name: 3 } as const;
const LENGTH_DELIMITED = 2;

/** Reads a DeltaDiscoveryResponse, whose type and nonce come before its resources. Throws on what is no such response. */
export function scanResponse(bytes: Buffer): ScannedResponse {
  const cursor = new Cursor(bytes, 0, bytes.length);
  const removed: string[] = [];
  let [typeUrl, nonce, bodyAt] = ["", "", bytes.length];
  for (let at = 0; cursor.next(); at = cursor.end) {
    if (cursor.field === RESPONSE.resources) {
      bodyAt = at;
      break;
    }
    if (cursor.field === RESPONSE.typeUrl) typeUrl = cursor.text();
    else if (cursor.field === RESPONSE.nonce) nonce = cursor.text();
    else if (cursor.field === RESPONSE.removed) removed.push(cursor.text());
  }
  const scanned = knownBody(bytes.subarray(bodyAt));
  return { typeUrl, nonce, ...scanned, removed: [...removed, ...scanned.removed] };
}

/** Shorter ones are read faster than compared. */
const LEAST_COMPARED_BYTES = 16_384;
const MOST_COMPARED = 16;
/** The last ones, the newest first. */
let recent: readonly ScannedBody[] = [];

function knownBody(body: Buffer): ScannedBody {
  if (body.length < LEAST_COMPARED_BYTES) return scanBody(body);
  const scanned = recent.find((other) => other.body.equals(body)) ?? scanBody(body);
  recent = [scanned, ...recent.filter((other) => other !== scanned)].slice(0, MOST_COMPARED);
  return scanned;
}

function scanBody(body: Buffer): ScannedBody {
  const cursor = new Cursor(body, 0, body.length);
  const resources: ScannedResource[] = [];
  const removed: string[] = [];
  while (cursor.next()) {
    if (cursor.field === RESPONSE.resources) resources.push(scanResource(body, cursor.start, cursor.end));
    else if (cursor.field === RESPONSE.removed) removed.push(cursor.text());
    else throw new Error(`field ${cursor.field} comes behind the resources`);
  }
  return { body, resources, removed };
}

function scanResource(bytes: Buffer, from: number, to: number): ScannedResource {
  const cursor = new Cursor(bytes, from, to);
  let [name, version, start, end] = ["", "", 0, 0];
  while (cursor.next()) {
    if (cursor.field === RESOURCE.name) name = shared(cursor.text());
    else if (cursor.field === RESOURCE.version) version = shared(cursor.text());
    else if (cursor.field === RESOURCE.resource) [start, end] = [cursor.start, cursor.end];
  }
  return { name, version, start, end };
}

/** Thousands of proxies hold the same names and versions, which are kept once; those of old versions are few. */
const texts = new Map<string, string>();

function shared(text: string): string {
  const known = texts.get(text);
  if (known === undefined) texts.set(text, text);
  return known ?? text;
}

/** Steps over the length-delimited fields of a message. */
class Cursor {
  field = 0;
  start = 0;
  end = 0;

  constructor(
    readonly bytes: Buffer,
    private position: number,
    private readonly limit: number,
  ) {}

  next(): boolean {
    if (this.position >= this.limit) return false;
    const tag = this.varint();
    if ((tag & 7) !== LENGTH_DELIMITED) throw new Error(`unexpected wire type ${tag & 7} at ${this.position}`);
    this.field = tag >>> 3;
    const length = this.varint();
    this.start = this.position;
    this.end = this.position + length;
    this.position = this.end;
    return true;
  }

  /** Names of the measured meshes are ASCII. */
  text(): string {
    return this.bytes.toString("latin1", this.start, this.end);
  }

  private varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.position++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new Error(`a number has too many bytes at ${this.position}`);
  }
}

/** A DeltaDiscoveryRequest. */
export function encodeRequest(request: DeltaRequest): Buffer {
  const { typeUrl, node, subscribe = [], versions = [], nonce, error } = request;
  const out = new Output();
  if (node) out.bytes(REQUEST.node, node);
  out.text(REQUEST.typeUrl, typeUrl);
  for (const name of subscribe) out.text(REQUEST.subscribe, name);
  for (const [name, version] of versions) out.entry(REQUEST.versions, name, version);
  if (nonce !== undefined) out.text(REQUEST.nonce, nonce);
  if (error !== undefined) out.bytes(REQUEST.error, new Output().text(2, error).finish());
  return out.finish();
}

class Output {
  private buffer = Buffer.allocUnsafe(1024);
  private length = 0;

  text(field: number, text: string): this {
    this.reserve(text.length + 11);
    this.varint((field << 3) | LENGTH_DELIMITED);
    this.varint(text.length);
    this.length += this.buffer.write(text, this.length, "latin1");
    return this;
  }

  bytes(field: number, bytes: Uint8Array): this {
    this.reserve(bytes.length + 11);
    this.varint((field << 3) | LENGTH_DELIMITED);
    this.varint(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** An entry of a map of strings. */
  entry(field: number, key: string, value: string): this {
    this.reserve(11);
    this.varint((field << 3) | LENGTH_DELIMITED);
    this.varint(2 + varintSize(key.length) + varintSize(value.length) + key.length + value.length);
    return this.text(1, key).text(2, value);
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  private varint(value: number): void {
    let left = value;
    for (; left >= 0x80; left >>>= 7) this.buffer[this.length++] = (left & 0x7f) | 0x80;
    this.buffer[this.length++] = left;
  }

  private reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + size));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : 3;
}
