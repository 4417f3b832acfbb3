// Compiles the regular expressions that a VirtualService's rules match by, so that one that is too large is told with
// its place when it is read. What Envoy itself evaluates (rewrites, origins) is held against the syntax alone.
import { type Dfa, RegexCompiler } from "../policy/regex/compile.js";
import type { AnyResource } from "../resources/kinds.js";
import type { FieldPath, RawObject } from "../resources/resource.js";
import type { Violation } from "../resources/violation.js";
import { type Identity, makeViolation } from "../resources/violation-at.js";
import type { HttpMatch, StringMatch } from "../resources/virtual-service.js";

/** Places in the tables of all expressions of one object together, equal tables once. A place takes 2 bytes. */
const MOST_PLACES = 2_000_000;
/** Beyond this many faults an object is refused without a look at the rest of its expressions. */
const MOST_FAULTS = 20;

interface Pattern {
  readonly path: FieldPath;
  readonly text: string;
  readonly ignoreCase: boolean;
}

/** What keeps an object's expressions from being compiled; nothing for other kinds. All violations are errors. */
export function checkPatterns(resource: AnyResource, raw: RawObject, identity: Identity): readonly Violation[] {
  if (resource.kind !== "VirtualService") return [];
  const compiler = new RegexCompiler();
  const violations: Violation[] = [];
  const seen = new Set<string>();
  const tables = new Set<Dfa>();
  let places = 0;
  for (const { path, text, ignoreCase } of patternsOf(resource.spec.http)) {
    const pattern = `${ignoreCase} ${text}`;
    if (seen.has(pattern)) continue;
    seen.add(pattern);
    const compiled = compiler.compile(text, { ignoreCase });
    const add = (code: "regex-too-large" | "invalid-regex", message: string) => {
      const at = asWritten(path, raw.value);
      violations.push(makeViolation(code, "error", at, message, raw.locate(at), identity));
    };
    if ("code" in compiled) add(compiled.code, `The expression cannot be used: ${compiled.message}.`);
    else if (!tables.has(compiled.dfa)) {
      tables.add(compiled.dfa);
      places += compiled.dfa.transitions.length;
      if (places > MOST_PLACES) add("regex-too-large", "The object's expressions are too large together; split it.");
    }
    if (violations.length >= MOST_FAULTS || places > MOST_PLACES) break;
  }
  return violations;
}

function* patternsOf(rules: readonly { readonly match: readonly HttpMatch[] }[]): Generator<Pattern> {
  for (const [rule, { match }] of rules.entries()) {
    for (const [index, one] of match.entries()) {
      for (const [steps, string] of stringsOf(one)) {
        if (string?.type !== "regex") continue;
        const path = ["spec", "http", rule, "match", index, ...steps, "regex"];
        yield { path, text: string.value, ignoreCase: steps[0] === "authority" };
      }
    }
  }
}

function stringsOf(match: HttpMatch): readonly (readonly [FieldPath, StringMatch | undefined])[] {
  const whole = (["uri", "scheme", "method", "authority"] as const).map((name) => [[name], match[name]] as const);
  const byName = (["headers", "withoutHeaders", "queryParams"] as const).flatMap((field) =>
    [...match[field]].map(([name, string]) => [[field, name], string] as const),
  );
  return [...whole, ...byName];
}

/** The same path with names as the object has them: those of headers are decoded to lower case. */
function asWritten(path: FieldPath, value: unknown): FieldPath {
  let at = value as Record<string | number, unknown> | undefined;
  return path.map((step) => {
    const written =
      typeof step === "string" && at !== undefined && !Object.hasOwn(at, step)
        ? (Object.keys(at).find((name) => name.toLowerCase() === step) ?? step)
        : step;
    at = at?.[written] as typeof at;
    return written;
  });
}
