// The host calls the filter makes. What a call gives back lies in scratch, at resultPointer with resultLength bytes.
import * as host from "@solo-io/proxy-runtime/assembly/imports";
import { proxy_set_buffer_bytes } from "./env";
import { clock_time_get, random_get } from "./wasi_snapshot_preview1";

const RESULT: usize = memory.data(16, 16);
const OK: u32 = 0;
const MONOTONIC_CLOCK: u32 = 1;
const PLUGIN_CONFIGURATION: u32 = 7;
export const REQUEST_HEADERS: u32 = 0;
const RESPONSE_BODY: u32 = 1;
export const RESPONSE_HEADERS: u32 = 2;
export const RESPONSE_TRAILERS: u32 = 3;
const REQUEST_STREAM: u32 = 0;

export function resultPointer(): usize {
  return load<usize>(RESULT);
}

export function resultLength(): usize {
  return load<usize>(RESULT, 4);
}

/** path: the property's parts, joined by NUL. */
export function readProperty(path: usize, length: usize): bool {
  return host.proxy_get_property(path, length, RESULT, RESULT + 4) === OK;
}

export function readRequestHeader(name: usize, length: usize): bool {
  return readHeader(REQUEST_HEADERS, name, length);
}

/** map: REQUEST_HEADERS, RESPONSE_HEADERS or RESPONSE_TRAILERS. */
export function readHeader(map: u32, name: usize, length: usize): bool {
  return host.proxy_get_header_map_value(map, name, length, RESULT, RESULT + 4) === OK;
}

/** What the filter is configured with, of that many bytes; while it is configured. */
export function readConfiguration(size: u32): bool {
  return host.proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, RESULT, RESULT + 4) === OK;
}

/** The result: count, then count pairs of lengths, then names and values, each followed by NUL. */
export function readRequestHeaders(): bool {
  return host.proxy_get_header_map_pairs(REQUEST_HEADERS, RESULT, RESULT + 4) === OK;
}

/** Envoy keeps it as filter state "wasm.<name>", out of a client's reach. */
export function setFilterState(name: usize, nameLength: usize, value: usize, length: usize): bool {
  return host.proxy_set_property(name, nameLength, value, length) === OK;
}

export function callForeign(name: usize, length: usize): bool {
  return host.proxy_call_foreign_function(name, length, 0, 0, RESULT, RESULT + 4) === OK;
}

/** map: RESPONSE_HEADERS or RESPONSE_TRAILERS. */
export function setHeader(map: u32, name: usize, nameLength: usize, value: usize, length: usize): void {
  host.proxy_replace_header_map_value(map, name, nameLength, value, length);
}

export function removeHeader(map: u32, name: usize, length: usize): void {
  host.proxy_remove_header_map_value(map, name, length);
}

export function removeResponseHeader(name: usize, length: usize): void {
  removeHeader(RESPONSE_HEADERS, name, length);
}

/** level: 0 for trace up to 5 for critical; 2 is info. */
export function log(level: u32, text: usize, length: usize): void {
  host.proxy_log(level, text, length);
}

/** Drops the bytes of the response's body that are there now. */
export function clearResponseBody(size: usize): void {
  proxy_set_buffer_bytes(RESPONSE_BODY, 0, size, 0, 0);
}

/** Nanoseconds since the epoch. */
export function now(): u64 {
  host.proxy_get_current_time_nanoseconds(RESULT + 8);
  return load<u64>(RESULT, 8);
}

/** Nanoseconds of a clock that only ever goes forward, from whatever start. */
export function monotonicNow(): u64 {
  clock_time_get(MONOTONIC_CLOCK, 1, RESULT + 8);
  return load<u64>(RESULT, 8);
}

/** Eight random bytes from the host, or the time when it has none. */
export function randomSeed(): u64 {
  if (random_get(RESULT + 8, 8) !== OK) return now();
  return load<u64>(RESULT, 8);
}

/** Makes the calls that follow speak of another context; false when that one is gone. */
export function enterContext(context: u32): bool {
  return host.proxy_set_effective_context(context) === OK;
}

/** For the root context; 0 stops it. */
export function setTickPeriod(milliseconds: u32): void {
  host.proxy_set_tick_period_milliseconds(milliseconds);
}

export function continueRequest(): void {
  host.proxy_continue_stream(REQUEST_STREAM);
}

/** grpcStatus: -1 for none. */
export function sendLocalResponse(
  status: u32,
  details: usize,
  detailsLength: usize,
  body: usize,
  bodyLength: usize,
  grpcStatus: i32,
): void {
  host.proxy_send_local_response(status, details, detailsLength, body, bodyLength, 0, 0, <u32>grpcStatus);
}
