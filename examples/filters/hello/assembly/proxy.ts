// What a filter may ask Envoy and tell it, in strings. The calls themselves are those of abi/host.ts.
import * as host from "../../../../filters/abi/host";

/** What a callback for headers answers: the request goes on, or stays where it is. */
export const CONTINUE: u32 = 0;
export const STOP: u32 = 1;

const INFO: u32 = 2;
const NO_GRPC_STATUS: i32 = -1;

export function proxy_abi_version_0_2_1(): void {}

/** Where Envoy puts what it gives; taken freed again. */
export function proxy_on_memory_allocate(size: usize): usize {
  return heap.alloc(size);
}

/** What the filter is configured with, as text; empty for none. size: as proxy_on_configure is told. */
export function configuration(size: u32): string {
  return size > 0 && host.readConfiguration(size) ? taken() : "";
}

/** Null for a header that is not there. */
export function requestHeader(name: string): string | null {
  return header(host.REQUEST_HEADERS, name);
}

export function responseHeader(name: string): string | null {
  return header(host.RESPONSE_HEADERS, name);
}

/** In the place of all of that name. */
export function setRequestHeader(name: string, value: string): void {
  setHeader(host.REQUEST_HEADERS, name, value);
}

export function setResponseHeader(name: string, value: string): void {
  setHeader(host.RESPONSE_HEADERS, name, value);
}

export function removeRequestHeader(name: string): void {
  const bytes = String.UTF8.encode(name);
  host.removeHeader(host.REQUEST_HEADERS, changetype<usize>(bytes), bytes.byteLength);
}

/** Answers in the workload's place; the callback returns STOP then. */
export function respond(status: u32, body: string): void {
  const bytes = String.UTF8.encode(body);
  host.sendLocalResponse(status, 0, 0, changetype<usize>(bytes), bytes.byteLength, NO_GRPC_STATUS);
}

/** A line in Envoy's log, of the level info. */
export function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  host.log(INFO, changetype<usize>(bytes), bytes.byteLength);
}

/** A text of a JSON object, by the name that it has there; `otherwise` where there is none. Escapes are left as they are. */
export function setting(json: string, name: string, otherwise: string): string {
  const key = json.indexOf(`"${name}"`);
  if (key < 0) return otherwise;
  const start = json.indexOf('"', json.indexOf(":", key)) + 1;
  const end = json.indexOf('"', start);
  return start > 0 && end >= start ? json.substring(start, end) : otherwise;
}

function header(map: u32, name: string): string | null {
  const bytes = String.UTF8.encode(name);
  return host.readHeader(map, changetype<usize>(bytes), bytes.byteLength) ? taken() : null;
}

function setHeader(map: u32, name: string, value: string): void {
  const bytes = String.UTF8.encode(name);
  const content = String.UTF8.encode(value);
  host.setHeader(map, changetype<usize>(bytes), bytes.byteLength, changetype<usize>(content), content.byteLength);
}

/** What the last call gave. */
function taken(): string {
  const start = host.resultPointer();
  const length = host.resultLength();
  if (length === 0) return "";
  const text = String.UTF8.decodeUnsafe(start, length);
  heap.free(start);
  return text;
}
