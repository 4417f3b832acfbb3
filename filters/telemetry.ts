// What the filter counts, among Envoy's statistics as wasmcustom.headgate.*; see docs/policy-format.md.
import { scratch } from "./abi/memory";
import { count, defineCounter } from "./abi/metrics";
import { record } from "./policy/image";
import { murmur3 } from "./policy/murmur3";
import * as tags from "./policy/tags";
import { metricOf } from "./policy/work";

export let undecided: u32 = 0;
export let imagesLoaded: u32 = 0;
export let imagesRefused: u32 = 0;
export let delaysInjected: u32 = 0;
export let delaysSkipped: u32 = 0;
export let abortsInjected: u32 = 0;
let otherDecisions: u32 = 0;

/** Labels get a counter each up to this many, whatever policies come and go; the others share one. */
const MOST_LABELS: u32 = 1000;
const TABLE_SIZE: u32 = 2048;
// A record: the label's hash of 64 bits, and its counter or 0.
const RECORD_COUNTER: usize = 8;
const RECORD_SIZE: usize = 16;
const TABLE: usize = memory.data(32768, 16);
const DECISIONS = "headgate.decisions.";
let labels: u32 = 0;

/** Defines the counters that every VM has. */
export function openTelemetry(): void {
  undecided = define("headgate.undecided");
  imagesLoaded = define("headgate.images_loaded");
  imagesRefused = define("headgate.images_refused");
  delaysInjected = define("headgate.delays_injected");
  delaysSkipped = define("headgate.delays_skipped");
  abortsInjected = define("headgate.aborts_injected");
  otherDecisions = define("headgate.decisions_other");
}

/** Counts a decision for a destination. */
export function countDecision(image: usize, destination: usize): void {
  const label = load<u32>(destination, tags.DESTINATION_LABEL);
  const known = metricOf(image, label);
  if (load<u32>(known) === 0) store<u32>(known, counterOfLabel(image, label));
  count(load<u32>(known));
}

function counterOfLabel(image: usize, index: u32): u32 {
  const label = record(image, tags.SECTION_LABELS, index, tags.LABEL_STRIDE);
  const text = record(image, tags.SECTION_BYTES, load<u32>(label, tags.LABEL_TEXT), 1);
  const length = load<usize>(label, tags.LABEL_LENGTH);
  const low = load<u32>(label, tags.LABEL_HASH);
  const hash = <u64>low | ((<u64>murmur3(text, length, ~low)) << 32);
  let place = low;
  while (true) {
    place &= TABLE_SIZE - 1;
    const entry = TABLE + <usize>place * RECORD_SIZE;
    const counter = load<u32>(entry, RECORD_COUNTER);
    if (counter !== 0 && load<u64>(entry) === hash) return counter;
    if (counter === 0) {
      if (labels === MOST_LABELS) return otherDecisions;
      labels++;
      store<u64>(entry, hash);
      store<u32>(entry, defineForLabel(text, length), RECORD_COUNTER);
      return load<u32>(entry, RECORD_COUNTER);
    }
    place++;
  }
}

function defineForLabel(text: usize, length: usize): u32 {
  const prefixLength: usize = DECISIONS.length;
  const name = scratch(prefixLength + length);
  write(DECISIONS, name);
  memory.copy(name + prefixLength, text, length);
  return defineCounter(name, prefixLength + length);
}

function define(text: string): u32 {
  const name = scratch(text.length);
  write(text, name);
  return defineCounter(name, text.length);
}

function write(text: string, at: usize): void {
  for (let i = 0, length = text.length; i < length; i++) store<u8>(at + i, text.charCodeAt(i));
}
