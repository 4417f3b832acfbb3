// Regular expressions: what we compile accepts what RE2 accepts, with re2js as the judge.
import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { type CompiledRegex, RegexCompiler, type RegexError } from "../../controlplane/policy/regex/compile.js";

const compiler = new RegexCompiler();

function compile(pattern: string): CompiledRegex {
  const compiled = compiler.compile(pattern, { ignoreCase: false });
  if ("code" in compiled) throw new Error(`${pattern}: ${compiled.message}`);
  return compiled;
}

/** Runs an automaton as the filter does. */
function matches({ prefix, suffix, dfa }: CompiledRegex, text: string): boolean {
  const value = Buffer.from(text);
  if (value.length < prefix.length + suffix.length) return false;
  if (!value.subarray(0, prefix.length).equals(prefix)) return false;
  if (!value.subarray(value.length - suffix.length).equals(suffix)) return false;
  let state = dfa.start;
  for (const byte of value.subarray(prefix.length, value.length - suffix.length))
    state = dfa.transitions[state * dfa.classCount + (dfa.classes[byte] as number)] as number;
  return state >= dfa.acceptFrom;
}

function agree(pattern: string, texts: readonly string[]): void {
  const compiled = compile(pattern);
  const judge = RE2JS.compile(pattern);
  for (const text of texts)
    expect(matches(compiled, text), `${pattern} on ${JSON.stringify(text)}`).toBe(judge.matches(text));
}

test("Patterns as people write them agree with RE2", () => {
  const texts = [
    "",
    "a",
    "/api/v1/users/42",
    "/api/v2/users/",
    "jason",
    "Jason",
    "ja son",
    "foo.bar",
    "fooxbar",
    "a\nb",
  ];
  for (const pattern of [
    "",
    ".*",
    ".+",
    "/api/v[0-9]+/users/[^/]*",
    "^/api/.*$",
    "(?i)JASON",
    "(?i:j)ason|foo\\.bar",
    "foo.bar",
    "[[:alpha:]]+",
    "a.b",
    "(?s)a.b",
    "\\bfoo\\b.*",
    ".*\\bbar",
    "(?m)^a$\\n^b$",
    "\\Qfoo.\\Ebar",
    "j(as|on)+",
    "(a|b)*a(a|b){3}",
    "\\x61\\101?",
    "\\pL+",
    "[^a-z]*",
  ])
    agree(pattern, texts);
});

test("Characters beyond ASCII are matched whole, and case folds as Unicode says", () => {
  const texts = ["é", "É", "ä€", "😀", "K", "k", "ſ", "s", "S", "Σ", "σ", "ς", "ß", "ẞ", "İ", "i", "I", "ǆ", "ǅ", "Ǆ"];
  for (const pattern of [
    ".",
    "..",
    "[é-€]+",
    "(?i)é",
    "(?i)k",
    "(?i)s",
    "(?i)σ",
    "(?i)ß",
    "(?i)i",
    "(?i)ǆ",
    "\\p{Lu}",
    "\\P{Lu}",
    "\\p{Greek}",
    "(?i)\\w",
    "(?i)[^k]",
    "[\\x{1F600}-\\x{1F64F}]",
  ])
    agree(pattern, texts);
});

test("A byte sequence that is no UTF-8 is no character", () => {
  const { dfa } = compile(".*x?");
  let state = dfa.start;
  for (const byte of [0x61, 0xff])
    state = dfa.transitions[state * dfa.classCount + (dfa.classes[byte] as number)] as number;
  expect(state).toBe(0);
});

test("What RE2 refuses is refused, with a reason", () => {
  for (const pattern of [
    "(",
    ")",
    "a)",
    "[a",
    "*a",
    "a**",
    "a+*",
    "a{2}{3}",
    "(?=a)",
    "(?<=a)b",
    "(?!a)",
    "\\1",
    "a\\",
    "\\q",
    "a{1001}",
    "a{3,2}",
    "[b-a]",
    "[[:foo:]]",
    "\\pX",
    "\\p{Nope}",
    "(?P<n>a)(?P<n>b)",
    "(?P<a-b>c)",
    "\\xZ",
    "(?z)",
    "|*",
    "x{2}*",
    "(?i",
    "\\8",
    "é\\é",
  ]) {
    expect(() => RE2JS.compile(pattern), pattern).toThrow();
    const error = compiler.compile(pattern, { ignoreCase: false }) as RegexError;
    expect(error.code, pattern).toBe("invalid-regex");
    expect(error.message, pattern).toMatch(/^the pattern is not RE2: ./);
  }
});

test("A pattern that needs too large a table is refused as such", () => {
  for (const pattern of ["(a|b)*a(a|b){20}", "(x{1000}){1000}", "(.{500}a){3}|.*b.{300}"])
    expect(compiler.compile(pattern, { ignoreCase: false }), pattern).toMatchObject({ code: "regex-too-large" });
});

test("Literal ends are split off, and the middles of like patterns are one automaton", () => {
  const a = compile("^/users/[0-9]+/orders$");
  const b = compile("/shops/[0-9]+/items");
  expect(Buffer.from(a.prefix).toString()).toBe("/users/");
  expect(Buffer.from(a.suffix).toString()).toBe("/orders");
  expect(a.dfa).toBe(b.dfa);
  expect(a.dfa.stateCount).toBe(3);
});

test("Generated patterns agree with RE2 on generated texts", () => {
  const letters = fc.constantFrom("a", "b", "A", "/", "0", "é", "_", "-", "\n");
  const atom = fc.constantFrom(
    "a",
    "b",
    "A",
    "/",
    "0",
    "é",
    ".",
    "[ab]",
    "[^a]",
    "[a-z]",
    "\\d",
    "\\w",
    "\\W",
    "\\s",
    "\\b",
    "\\B",
    "^",
    "$",
    "(?:)",
    "[[:upper:]]",
    "\\A",
    "\\z",
  );
  const { pattern } = fc.letrec<{ pattern: string; branch: string; piece: string }>((tie) => ({
    pattern: fc.array(tie("branch"), { minLength: 1, maxLength: 2 }).map((branches) => branches.join("|")),
    branch: fc.array(tie("piece"), { maxLength: 3 }).map((pieces) => pieces.join("")),
    piece: fc
      .tuple(
        fc.oneof(
          { maxDepth: 1 },
          atom,
          fc
            .tuple(fc.constantFrom("(", "(?:", "(?i:", "(?m:", "(?s:"), tie("pattern"))
            .map(([open, inner]) => `${open}${inner})`),
        ),
        fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}", "*?", "{0,2}"),
      )
      .map((parts) => parts.join("")),
  }));
  fc.assert(
    fc.property(
      pattern,
      fc.array(
        fc.array(letters, { maxLength: 7 }).map((text) => text.join("")),
        { minLength: 8, maxLength: 8 },
      ),
      (pattern, texts) => {
        const compiled = compiler.compile(pattern, { ignoreCase: false });
        fc.pre(!("code" in compiled && compiled.code === "regex-too-large"));
        agree(pattern, texts);
      },
    ),
    { seed: 4, numRuns: 2000 },
  );
});
