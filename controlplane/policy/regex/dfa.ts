// An automaton in several states at once -> one in a single state: the subset construction, over classes of bytes.
import { ACCEPT, type Nfa, TooLargeError } from "./nfa.js";
import type { Assertion } from "./syntax.js";

/** More states than this, before minimisation, make a pattern too large. */
const MOST_STATES = 4_000;

/** States by number, from 0; the transitions and acceptance of each. */
export interface RawDfa {
  /** The class of each byte. */
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly start: number;
  /** For each state, the target for each class. */
  readonly targets: readonly Int32Array[];
  readonly accepts: readonly boolean[];
}

/** What stands before or after a place in the text, as far as assertions care. */
type Neighbour = "edge" | "newline" | "word" | "other";

/** Builds an automaton that accepts exactly the texts that the NFA matches as a whole. */
export function buildDfa(nfa: Nfa): RawDfa {
  const asserts = nfa.states.some((state) => state.type === "assertion");
  const { classes, representatives } = byteClasses(nfa, asserts);
  const numbers = new Map<string, number>();
  const places: { readonly kernel: readonly number[]; readonly before: Neighbour }[] = [];
  const numberOf = (kernel: readonly number[], before: Neighbour): number => {
    const identity = `${before} ${kernel.join(" ")}`;
    let number = numbers.get(identity);
    if (number === undefined) {
      if (places.length === MOST_STATES) throw new TooLargeError("it needs too many states");
      number = places.length;
      numbers.set(identity, number);
      places.push({ kernel, before });
    }
    return number;
  };

  const targets: Int32Array[] = [];
  const accepts: boolean[] = [];
  const start = numberOf([nfa.start], asserts ? "edge" : "other");
  for (let number = 0; number < places.length; number++) {
    const { kernel, before } = places[number] as (typeof places)[number];
    const closures = new Map<Neighbour, readonly number[]>();
    const closureFor = (after: Neighbour) => {
      const reached = closures.get(after) ?? closure(nfa, kernel, before, after);
      closures.set(after, reached);
      return reached;
    };
    accepts.push(closureFor(asserts ? "edge" : "other").includes(ACCEPT));
    const row = new Int32Array(representatives.length);
    for (const [i, byte] of representatives.entries()) {
      const neighbour = asserts ? neighbourOf(byte) : "other";
      row[i] = numberOf(step(nfa, closureFor(neighbour), byte), neighbour);
    }
    targets.push(row);
  }
  return { classes, classCount: representatives.length, start, targets, accepts };
}

/** Bytes that no state tells apart share a class; each class has one of its bytes to stand for it. */
function byteClasses(nfa: Nfa, asserts: boolean): { classes: Uint8Array; representatives: number[] } {
  const begins = new Uint8Array(257);
  begins[0] = 1;
  for (const state of nfa.states) {
    if (state.type !== "bytes") continue;
    begins[state.lo] = 1;
    begins[state.hi + 1] = 1;
  }
  if (asserts) for (let byte = 1; byte < 256; byte++) if (neighbourOf(byte) !== neighbourOf(byte - 1)) begins[byte] = 1;
  const classes = new Uint8Array(256);
  const representatives: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (begins[byte]) representatives.push(byte);
    classes[byte] = representatives.length - 1;
  }
  return { classes, representatives };
}

/** What is reached without reading, given what stands before and after; sorted, without what only passes on. */
function closure(nfa: Nfa, kernel: readonly number[], before: Neighbour, after: Neighbour): readonly number[] {
  const seen = new Set<number>();
  const open = [...kernel];
  const reached: number[] = [];
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    if (seen.has(number)) continue;
    seen.add(number);
    const state = nfa.states[number];
    if (number === ACCEPT || state?.type === "bytes") reached.push(number);
    else if (state?.type === "split") open.push(...state.outs);
    else if (state?.type === "assertion" && holds(state.assertion, before, after)) open.push(state.out);
  }
  return reached;
}

function step(nfa: Nfa, from: readonly number[], byte: number): number[] {
  const reached = new Set<number>();
  for (const number of from) {
    const state = nfa.states[number];
    if (state?.type === "bytes" && state.lo <= byte && byte <= state.hi) reached.add(state.out);
  }
  return [...reached].sort((a, b) => a - b);
}

function holds(assertion: Assertion, before: Neighbour, after: Neighbour): boolean {
  switch (assertion) {
    case "beginText":
      return before === "edge";
    case "endText":
      return after === "edge";
    case "beginLine":
      return before === "edge" || before === "newline";
    case "endLine":
      return after === "edge" || after === "newline";
    case "wordBoundary":
      return (before === "word") !== (after === "word");
    case "noWordBoundary":
      return (before === "word") === (after === "word");
  }
}

function neighbourOf(byte: number): Neighbour {
  if (byte === 0x0a) return "newline";
  return /\w/.test(String.fromCharCode(byte)) ? "word" : "other";
}
