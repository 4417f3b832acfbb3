// Syntax tree -> an automaton over bytes that may be in several states at once (Thompson's construction).
import { type Assertion, type CharacterClass, type Node, PatternError, type Range } from "./syntax.js";
import { byteSequences } from "./utf8.js";

/** More states than this make a pattern too large. */
const MOST_STATES = 20_000;

export type NfaState =
  /** Goes on to out by a byte from lo to hi. */
  | { readonly type: "bytes"; readonly lo: number; readonly hi: number; readonly out: number }
  /** Goes on to all of outs by itself. */
  | { readonly type: "split"; readonly outs: number[] }
  /** Goes on to out by itself where the assertion holds. */
  | { readonly type: "assertion"; readonly assertion: Assertion; readonly out: number };

export interface Nfa {
  readonly states: readonly NfaState[];
  readonly start: number;
}

/** The state that accepts. */
export const ACCEPT = 0;

/** Thrown where a pattern grows over a limit. */
export class TooLargeError extends PatternError {}

export function buildNfa(node: Node): Nfa {
  const builder = new NfaBuilder();
  const start = builder.build(node, ACCEPT);
  return { states: builder.states, start };
}

/** Builds from the end to the start: what comes after a node is known when it is built. */
class NfaBuilder {
  readonly states: NfaState[] = [{ type: "split", outs: [] }];

  /** Adds what matches node and then goes on to out; returns where that begins. */
  build(node: Node, out: number): number {
    switch (node.type) {
      case "class":
        return this.buildClass(node.ranges, out);
      case "byte":
        return this.add({ type: "bytes", lo: 0, hi: 255, out });
      case "assertion":
        return this.add({ type: "assertion", assertion: node.assertion, out });
      case "concat":
        return node.nodes.reduceRight((next, part) => this.build(part, next), out);
      case "alternate":
        return this.add({ type: "split", outs: node.nodes.map((branch) => this.build(branch, out)) });
      case "repeat":
        return this.buildRepeat(node.node, node.min, node.max, out);
    }
  }

  private buildClass(ranges: CharacterClass, out: number): number {
    const shared = new Map<string, number>();
    const step = ([lo, hi]: Range, next: number): number => {
      const identity = `${lo} ${hi} ${next}`;
      let state = shared.get(identity);
      if (state === undefined) {
        state = this.add({ type: "bytes", lo, hi, out: next });
        shared.set(identity, state);
      }
      return state;
    };
    const starts = ranges
      .flatMap(byteSequences)
      .map((sequence) => sequence.reduceRight((next, range) => step(range, next), out));
    return starts.length === 1 ? (starts[0] as number) : this.add({ type: "split", outs: [...new Set(starts)] });
  }

  private buildRepeat(node: Node, min: number, max: number, out: number): number {
    let next = out;
    if (max === Number.POSITIVE_INFINITY) {
      const outs = [out];
      next = this.add({ type: "split", outs });
      outs.push(this.build(node, next));
    } else {
      // x{0,2} is (x(x)?)?: each copy may end at once.
      for (let i = min; i < max; i++) next = this.add({ type: "split", outs: [this.build(node, next), out] });
    }
    for (let i = 0; i < min; i++) next = this.build(node, next);
    return next;
  }

  private add(state: NfaState): number {
    if (this.states.length === MOST_STATES) throw new TooLargeError("it needs too many states");
    this.states.push(state);
    return this.states.length - 1;
  }
}
