// Rules -> clauses: each alternative of each rule as a list of conditions on slots, in the order of the rules.
import * as tags from "../../filters/policy/tags.js";
import type { HttpMatch, StringMatch } from "../resources/virtual-service.js";
import type { Inputs, Key, Slot } from "./inputs.js";
import { type CompiledRegex, RegexCompiler, type RegexError } from "./regex/compile.js";
import type { PolicyRule } from "./rule.js";
import type { Steps } from "./steps.js";

/** What must hold of one slot. */
export interface Condition {
  readonly slot: Slot;
  readonly negated: boolean;
  /** Where it stands in the YAML, and what it says there. */
  readonly source: ConditionSource;
  /** What a condition without a regex asks; what one with a regex implies (its literal prefix), if anything. */
  readonly key?: Key;
  readonly regex?: CompiledRegex;
}

export interface ConditionSource {
  /** Within the match, for example "uri" or "headers.end-user". */
  readonly field: string;
  readonly match: StringMatch;
}

/** One alternative of one rule. All conditions must hold. */
export interface Clause {
  readonly rule: number;
  /** The alternative's index; undefined for a rule that matches everything. */
  readonly match?: number;
  readonly conditions: readonly Condition[];
}

/** Why a rule cannot be compiled. */
export interface PolicyProblem {
  readonly ruleIndex: number;
  readonly matchIndex: number;
  /** The match's field as in the YAML, for example "uri.regex" or "headers.end-user.regex". */
  readonly field: string;
  readonly code: "regex-too-large" | "invalid-regex";
  readonly message: string;
}

const RULES_A_STEP = 200;

/** Reads the rules' matches; adds what they look at to inputs and what is wrong with them to problems. */
export function* readClauses(rules: readonly PolicyRule[], inputs: Inputs, problems: PolicyProblem[]): Steps<Clause[]> {
  const regexes = new Map<string, CompiledRegex | RegexError>();
  const compiler = new RegexCompiler();
  const clauses: Clause[] = [];
  for (const [rule, { matches }] of rules.entries()) {
    if (matches.length === 0) clauses.push({ rule, conditions: [] });
    for (const [matchIndex, match] of matches.entries()) {
      const conditions: Condition[] = [];
      for (const { field, slot, string, negated, ignoreCase } of questions(match, inputs)) {
        const source = { field, match: string };
        if (string.type !== "regex") {
          conditions.push({ slot, negated, source, key: keyOf(inputs, slot, string, ignoreCase) });
          continue;
        }
        const regex = compileOnce(regexes, compiler, string.value, ignoreCase);
        if ("code" in regex) problems.push({ ruleIndex: rule, matchIndex, field: `${field}.regex`, ...regex });
        else conditions.push(regexCondition(inputs, slot, regex, negated, source));
      }
      clauses.push({ rule, match: matchIndex, conditions });
    }
    if (rule % RULES_A_STEP === RULES_A_STEP - 1) yield;
  }
  return clauses;
}

interface Question {
  readonly field: string;
  readonly slot: Slot;
  readonly string: StringMatch;
  readonly negated: boolean;
  /** The slot holds lower case, so what is asked of it must be in lower case, too. */
  readonly ignoreCase: boolean;
}

function* questions(match: HttpMatch, inputs: Inputs): Generator<Question> {
  const plain = { negated: false, ignoreCase: false };
  if (match.uri) {
    const ignoreCase = match.ignoreUriCase && match.uri.type !== "regex";
    const slot = inputs.fixed(ignoreCase ? tags.SLOT_PATH_LOWER : tags.SLOT_PATH);
    yield { field: "uri", slot, string: match.uri, negated: false, ignoreCase };
  }
  if (match.scheme) yield { field: "scheme", slot: inputs.fixed(tags.SLOT_SCHEME), string: match.scheme, ...plain };
  if (match.method) yield { field: "method", slot: inputs.fixed(tags.SLOT_METHOD), string: match.method, ...plain };
  if (match.authority) {
    const slot = inputs.fixed(tags.SLOT_AUTHORITY);
    const string = match.authority.type === "exact" ? withoutPort(match.authority.value) : match.authority;
    yield { field: "authority", slot, string, negated: false, ignoreCase: true };
  }
  for (const [name, string] of match.headers)
    yield { field: `headers.${name}`, slot: inputs.header(name.toLowerCase()), string, ...plain };
  for (const [name, string] of match.withoutHeaders) {
    const slot = inputs.header(name.toLowerCase());
    yield { field: `withoutHeaders.${name}`, slot, string, negated: true, ignoreCase: false };
  }
  for (const [name, string] of match.queryParams)
    yield { field: `queryParams.${name}`, slot: inputs.queryParameter(name), string, ...plain };
}

/** Envoy takes the port and a trailing dot off the host before the filter sees it. */
function withoutPort(authority: string): StringMatch {
  return { type: "exact", value: authority.replace(/:\d*$/, "").replace(/\.$/, "") };
}

function keyOf(
  inputs: Inputs,
  slot: Slot,
  string: Exclude<StringMatch, { readonly type: "regex" }>,
  ignoreCase: boolean,
): Key {
  if (string.type === "present") return inputs.present(slot);
  const value = Buffer.from(ignoreCase ? asciiLower(string.value) : string.value);
  return string.type === "exact" ? inputs.exact(slot, value) : inputs.prefix(slot, value);
}

function regexCondition(
  inputs: Inputs,
  slot: Slot,
  regex: CompiledRegex,
  negated: boolean,
  source: ConditionSource,
): Condition {
  if (regex.prefix.length === 0) return { slot, negated, source, regex };
  return { slot, negated, source, regex, key: inputs.prefix(slot, regex.prefix) };
}

function compileOnce(
  known: Map<string, CompiledRegex | RegexError>,
  compiler: RegexCompiler,
  pattern: string,
  ignoreCase: boolean,
): CompiledRegex | RegexError {
  const identity = `${ignoreCase} ${pattern}`;
  let regex = known.get(identity);
  if (!regex) {
    regex = compiler.compile(pattern, { ignoreCase });
    known.set(identity, regex);
  }
  return regex;
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
