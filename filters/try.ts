// The second module's entry, an upstream filter: faults that are drawn for every try, so that retries can be tested.
// Envoy does not retry what an upstream filter answers by itself. So the backend is asked, and its answer replaced.
import * as host from "./abi/host";
import { resetScratch, scratch } from "./abi/memory";
import { count } from "./abi/metrics";
import { ascii } from "./abi/text";
import { abortedTry, addAborted, grpcStatusOf, removeAborted, statusOf } from "./fault/aborted-tries";
import { hasExpiry, isExpired, strikes } from "./fault/draw";
import { pause } from "./pausing";
import { isValidFault } from "./policy/check-outcomes";
import * as tags from "./policy/tags";
import { drawBits } from "./rollout/random";
import * as telemetry from "./telemetry";

export * from "./lifecycle";

const CONTINUE: u32 = 0;
const STOP: u32 = 1;
const NANOS_PER_MILLI: u64 = 1_000_000;

const STATUS = ":status";
const CONTENT_LENGTH = "content-length";
const CONTENT_TYPE = "content-type";
const GRPC = "application/grpc";
const GRPC_STATUS = "grpc-status";
const GRPC_MESSAGE = "grpc-message";
const MESSAGE = "fault filter abort";

const tryFaultProperty = ascii(tags.TRY_FAULT_PROPERTY);
const statusName = ascii(STATUS);
const contentLengthName = ascii(CONTENT_LENGTH);
const contentTypeName = ascii(CONTENT_TYPE);
const grpc = ascii(GRPC);
const grpcStatusName = ascii(GRPC_STATUS);
const grpcMessageName = ascii(GRPC_MESSAGE);
const message = ascii(MESSAGE);

export function proxy_on_request_headers(context: u32, _count: u32, _endOfStream: u32): u32 {
  resetScratch();
  if (!host.readProperty(tryFaultProperty, tags.TRY_FAULT_PROPERTY.length)) return CONTINUE;
  const fault = host.resultPointer();
  if (host.resultLength() !== tags.FAULT_STRIDE || !isValidFault(fault)) return CONTINUE;
  if (hasExpiry(fault) && isExpired(fault, host.now() / NANOS_PER_MILLI)) return CONTINUE;
  const delayed = strikes(load<u32>(fault, tags.FAULT_DELAY_ODDS), drawBits());
  if (strikes(load<u32>(fault, tags.FAULT_ABORT_ODDS), drawBits()))
    addAborted(context, load<u32>(fault, tags.FAULT_ABORT_STATUS), load<i32>(fault, tags.FAULT_GRPC_STATUS));
  return delayed && pause(context, load<u32>(fault, tags.FAULT_DELAY_MILLIS), 0, tags.NONE) ? STOP : CONTINUE;
}

export function proxy_on_response_headers(context: u32, _count: u32, _endOfStream: u32): u32 {
  const aborted = abortedTry(context);
  if (aborted === 0) return CONTINUE;
  resetScratch();
  count(telemetry.abortsInjected);
  host.removeResponseHeader(contentLengthName, CONTENT_LENGTH.length);
  if (grpcStatusOf(aborted) === tags.NONE) {
    setNumber(host.RESPONSE_HEADERS, statusName, STATUS.length, statusOf(aborted));
    return CONTINUE;
  }
  setNumber(host.RESPONSE_HEADERS, statusName, STATUS.length, 200);
  host.setHeader(host.RESPONSE_HEADERS, contentTypeName, CONTENT_TYPE.length, grpc, GRPC.length);
  setGrpcStatus(host.RESPONSE_HEADERS, grpcStatusOf(aborted));
  return CONTINUE;
}

export function proxy_on_response_body(context: u32, size: u32, _endOfStream: u32): u32 {
  if (abortedTry(context) !== 0) host.clearResponseBody(size);
  return CONTINUE;
}

export function proxy_on_response_trailers(context: u32, _count: u32): u32 {
  const aborted = abortedTry(context);
  if (aborted === 0 || grpcStatusOf(aborted) === tags.NONE) return CONTINUE;
  resetScratch();
  setGrpcStatus(host.RESPONSE_TRAILERS, grpcStatusOf(aborted));
  return CONTINUE;
}

export function proxy_on_delete(context: u32): void {
  removeAborted(context);
}

function setGrpcStatus(map: u32, status: u32): void {
  setNumber(map, grpcStatusName, GRPC_STATUS.length, status);
  host.setHeader(map, grpcMessageName, GRPC_MESSAGE.length, message, MESSAGE.length);
}

/** Sets a header to a number of at most three digits. */
function setNumber(map: u32, name: usize, nameLength: usize, value: u32): void {
  const digits = scratch(4);
  let at = digits + 3;
  do {
    store<u8>(--at, 0x30 + (value % 10));
    value /= 10;
  } while (value > 0);
  host.setHeader(map, name, nameLength, at, digits + 3 - at);
}
