// RE2 pattern -> literal prefix, DFA and literal suffix.

/** A deterministic automaton over bytes. State 0 is dead; states from acceptFrom on accept. */
export interface Dfa {
  /** The class of each of the 256 bytes. */
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly stateCount: number;
  readonly start: number;
  readonly acceptFrom: number;
  /** The state reached from state s by a byte of class c is at s * classCount + c. */
  readonly transitions: Uint16Array;
}

/** Matches a value that is prefix, then what the DFA accepts, then suffix. */
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
  readonly ignoreCase: boolean;
}

/** Compiles an RE2 pattern that must match a whole value. */
export function compileRegex(_pattern: string, _options: RegexOptions): CompiledRegex | RegexError {
  return { code: "invalid-regex", message: "regular expressions are not compiled yet" };
}
