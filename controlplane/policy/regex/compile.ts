// An RE2 pattern that must match a whole value -> literal prefix, automaton for the middle, literal suffix.
import { buildDfa } from "./dfa.js";
import { splitLiterals } from "./literals.js";
import { type Dfa, minimize } from "./minimize.js";
import { buildNfa, TooLargeError } from "./nfa.js";
import { parsePattern } from "./parse.js";
import { type Node, PatternError } from "./syntax.js";

export type { Dfa } from "./minimize.js";

/** Matches a value that is prefix, then what the automaton accepts, then suffix. */
export interface CompiledRegex {
  readonly prefix: Uint8Array;
  readonly suffix: Uint8Array;
  readonly dfa: Dfa;
}

export interface RegexError {
  readonly code: "regex-too-large" | "invalid-regex";
  readonly message: string;
}

export interface RegexOptions {
  /** The values are in lower case; the pattern is read without regard to case. */
  readonly ignoreCase: boolean;
}

/** Compiles patterns, and each middle part only once. */
export class RegexCompiler {
  private readonly dfas = new Map<string, Dfa>();

  compile(pattern: string, { ignoreCase }: RegexOptions): CompiledRegex | RegexError {
    try {
      const node = parsePattern(pattern, { ignoreCase });
      const { prefix, middle, suffix } = splitLiterals(ignoreCase ? lowerCase(node) : node);
      return { prefix, suffix, dfa: this.dfaOf(middle) };
    } catch (error) {
      if (error instanceof TooLargeError)
        return { code: "regex-too-large", message: `the pattern is too large: ${error.message}` };
      if (error instanceof PatternError)
        return { code: "invalid-regex", message: `the pattern is not RE2: ${error.message}` };
      throw error;
    }
  }

  private dfaOf(node: Node): Dfa {
    const identity = JSON.stringify(node, (_, value) => (value === Number.POSITIVE_INFINITY ? "infinite" : value));
    let dfa = this.dfas.get(identity);
    if (!dfa) {
      dfa = minimize(buildDfa(buildNfa(node)));
      this.dfas.set(identity, dfa);
    }
    return dfa;
  }
}

/** Upper-case ASCII letters cannot occur: without them, a letter is a literal again. */
function lowerCase(node: Node): Node {
  switch (node.type) {
    case "class":
      return { type: "class", ranges: node.ranges.flatMap(withoutUpperCase) };
    case "concat":
    case "alternate":
      return { type: node.type, nodes: node.nodes.map(lowerCase) };
    case "repeat":
      return { ...node, node: lowerCase(node.node) };
    default:
      return node;
  }
}

function withoutUpperCase([lo, hi]: readonly [number, number]): [number, number][] {
  const parts: [number, number][] = [
    [lo, Math.min(hi, 0x40)],
    [Math.max(lo, 0x5b), hi],
  ];
  return parts.filter(([from, to]) => from <= to);
}
