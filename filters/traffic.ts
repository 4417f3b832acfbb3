// The filter's entry: Envoy's callbacks -> decide -> act. Each callback that exists is called for every request, so
// only those that are needed do.
import * as host from "./abi/host";
import { resetScratch } from "./abi/memory";
import { count } from "./abi/metrics";
import { ascii } from "./abi/text";
import { noteDestination, noteMatch } from "./explain";
import { hasExpiry, isExpired, strikes } from "./fault/draw";
import { firstClause } from "./match/decide";
import { fillFromHeaders, fillPath } from "./match/request";
import { abort, pause } from "./pausing";
import { record } from "./policy/image";
import { DIGITS, findImage, keepImage, REFUSED, UNKNOWN } from "./policy/store";
import * as tags from "./policy/tags";
import { clearValues } from "./policy/work";
import { chooseByRollout, chooseByWeight } from "./rollout/choose";
import { drawBits } from "./rollout/random";
import * as telemetry from "./telemetry";

export { headgate_clause, headgate_destination, headgate_seed, headgate_unmet_condition } from "./explain";
export * from "./lifecycle";

const CONTINUE: u32 = 0;
const STOP: u32 = 1;
const NANOS_PER_MILLI: u64 = 1_000_000;

const PATH = ":path";
const ROUTE = "route";
const CLEAR_ROUTE_CACHE = "clear_route_cache";

const routeNameProperty = ascii(tags.ROUTE_NAME_PROPERTY);
const imageProperty = ascii(tags.IMAGE_PROPERTY);
const path = ascii(PATH);
const route = ascii(ROUTE);
const sourceAddress = ascii(tags.SOURCE_ADDRESS_PROPERTY);
const clearRouteCache = ascii(CLEAR_ROUTE_CACHE);
const namePrefix = ascii(tags.ROUTE_NAME_PREFIX);

export function proxy_on_request_headers(context: u32, _count: u32, _endOfStream: u32): u32 {
  resetScratch();
  const image = currentImage();
  if (image === UNKNOWN) return CONTINUE;
  const rule: usize = image === REFUSED ? 0 : matchingRule(image);
  if (rule === 0) {
    count(telemetry.undecided);
    return CONTINUE;
  }
  takeRoute(image, rule);
  const fault = load<i32>(rule, tags.RULE_FAULT);
  if (fault === tags.NONE) return CONTINUE;
  return injectFault(context, record(image, tags.SECTION_FAULTS, fault, tags.FAULT_STRIDE));
}

/** The image that the request's undecided route carries; UNKNOWN when the route is none of ours. */
function currentImage(): usize {
  if (!host.readProperty(routeNameProperty, tags.ROUTE_NAME_PROPERTY.length)) return UNKNOWN;
  const name = host.resultPointer();
  const prefixLength: usize = tags.ROUTE_NAME_PREFIX.length;
  if (host.resultLength() !== prefixLength + DIGITS || memory.compare(name, namePrefix, prefixLength) !== 0)
    return UNKNOWN;
  const digits = name + prefixLength;
  const known = findImage(digits);
  if (known !== UNKNOWN) return known;
  if (!host.readProperty(imageProperty, tags.IMAGE_PROPERTY.length)) return UNKNOWN;
  const image = host.resultPointer();
  const size = host.resultLength();
  const kept = keepImage(digits, image, size, host.now());
  count(kept === REFUSED ? telemetry.imagesRefused : telemetry.imagesLoaded);
  return kept;
}

/** The first rule that matches the request, or 0. */
function matchingRule(image: usize): usize {
  fillValues(image);
  const clause = firstClause(image);
  noteMatch(image, clause);
  if (clause === tags.NONE) return 0;
  const index = load<u32>(record(image, tags.SECTION_CLAUSES, clause, tags.CLAUSE_STRIDE), tags.CLAUSE_RULE);
  return record(image, tags.SECTION_RULES, index, tags.RULE_STRIDE);
}

function fillValues(image: usize): void {
  clearValues(image);
  const needs = load<u32>(image, tags.HEADER_NEEDS);
  if (needs & tags.NEEDS_HEADERS) {
    if (host.readRequestHeaders()) fillFromHeaders(image, needs, host.resultPointer());
  } else if (needs & tags.NEEDS_PATH) {
    if (host.readRequestHeader(path, PATH.length)) fillPath(image, needs, host.resultPointer(), host.resultLength());
  }
}

/** Makes Envoy route the request to one of the rule's destinations. */
function takeRoute(image: usize, rule: usize): void {
  const index = chooseDestination(image, rule);
  noteDestination(index);
  const first = record(
    image,
    tags.SECTION_DESTINATIONS,
    load<u32>(rule, tags.RULE_DESTINATIONS),
    tags.DESTINATION_STRIDE,
  );
  const destination = first + index * tags.DESTINATION_STRIDE;
  const chosen = record(image, tags.SECTION_ROUTES, load<u32>(destination, tags.DESTINATION_ROUTE), tags.ROUTE_STRIDE);
  const id = record(image, tags.SECTION_BYTES, load<u32>(chosen, tags.ROUTE_ID), 1);
  host.setFilterState(route, ROUTE.length, id, load<u32>(chosen, tags.ROUTE_ID_LENGTH));
  host.callForeign(clearRouteCache, CLEAR_ROUTE_CACHE.length);
  telemetry.countDecision(image, destination);
}

function chooseDestination(image: usize, rule: usize): u32 {
  const index = load<i32>(rule, tags.RULE_ROLLOUT);
  if (index === tags.NONE) return chooseByWeight(image, rule, drawBits());
  const rollout = record(image, tags.SECTION_ROLLOUTS, index, tags.ROLLOUT_STRIDE);
  const now = load<u32>(rollout, tags.ROLLOUT_RAMP_COUNT) === 0 ? 0 : host.now() / NANOS_PER_MILLI;
  const byAddress = load<u32>(rollout, tags.ROLLOUT_KEY) === tags.STICKY_SOURCE_ADDRESS;
  const known = byAddress && host.readProperty(sourceAddress, tags.SOURCE_ADDRESS_PROPERTY.length);
  const address = known ? host.resultPointer() : 0;
  return chooseByRollout(image, rule, rollout, drawBits(), now, address, known ? host.resultLength() : 0);
}

function injectFault(context: u32, fault: usize): u32 {
  if (load<u32>(fault, tags.FAULT_PER_TRY) !== 0) return CONTINUE;
  const delayed = strikes(load<u32>(fault, tags.FAULT_DELAY_ODDS), drawBits());
  const aborted = strikes(load<u32>(fault, tags.FAULT_ABORT_ODDS), drawBits());
  if (!delayed && !aborted) return CONTINUE;
  if (hasExpiry(fault) && isExpired(fault, host.now() / NANOS_PER_MILLI)) return CONTINUE;
  const status = aborted ? load<u32>(fault, tags.FAULT_ABORT_STATUS) : 0;
  const grpcStatus = load<i32>(fault, tags.FAULT_GRPC_STATUS);
  if (delayed && pause(context, load<u32>(fault, tags.FAULT_DELAY_MILLIS), status, grpcStatus)) return STOP;
  if (!aborted) return CONTINUE;
  abort(status, grpcStatus);
  return STOP;
}
