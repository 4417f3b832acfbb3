// The RE2 syntax check against RE2 itself, in its JavaScript port, which compiles what it accepts.
import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import { checkRegex } from "../../controlplane/resources/regex-syntax.js";

const PIECES = [
  ..."a 1 é 😀 . ^ $ | ( ) [ ] - { } * + ? / \n".split(" "),
  ..."(?: (?i) (?i: (?P<n> (?<m> (?-s) (? (?= [^ a-z z-a \\ ".split(" "),
  ..."[:alpha:] [[:digit:]] [[:^space:]] [[:foo:]] \\d \\W \\b \\B \\A \\z \\Z \\C".split(" "),
  ..."\\pL \\p{Greek} \\p{Foo} \\P{^Han} \\pX \\Q \\E \\Qa\\E \\. \\- \\_ \\y \\v \\a \\e \\h \\K".split(" "),
  ..."\\x41 \\x{10FFFF} \\x{110000} \\x4 \\012 \\1 \\8 \\0 \\17".split(" "),
  ..."*? +? ?? {2} {2,} {2,3} {3,2} {1001} {1000} {,2} {2}?".split(" "),
];

function re2Accepts(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}

describe("the check of regular expressions", () => {
  test("accepts and refuses the same expressions as RE2", () => {
    const pattern = fc
      .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 8 })
      .map((pieces) => pieces.join(""))
      // The empty expression is RE2, and no use to anybody.
      .filter((text) => text !== "");
    fc.assert(
      fc.property(pattern, (text) => {
        expect(checkRegex(text) === undefined, JSON.stringify(text)).toBe(re2Accepts(text));
      }),
      { numRuns: 20_000, seed: 7 },
    );
  });

  test.each([
    ["", "invalid-regex", "empty"],
    ["(?=a)", "invalid-regex", "lookahead"],
    ["(?<!a)b", "invalid-regex", "lookbehind"],
    ["(a)\\1", "invalid-regex", "backreferences"],
    ["*.example.com", "invalid-regex", 'nothing to repeat before "\\*"'],
    ["a**", "invalid-regex", "repeats a repetition"],
    ["(a{100}){100}", "invalid-regex", "multiply"],
    ["[z-a]", "invalid-regex", "reversed"],
    ["(a", "invalid-regex", "not closed"],
    ["a)", "invalid-regex", "not opened"],
    ["[a", "invalid-regex", "not closed"],
    ["a".repeat(1025), "regex-too-large", "1025 characters"],
  ])("says of %j that it is %s", (pattern, code, message) => {
    expect(checkRegex(pattern)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("takes hostile expressions of the greatest length without compiling them", () => {
    const hostile = [
      "(".repeat(1_024),
      "[\\pL\\pN]".repeat(113),
      "(?i)\\pL{1000}",
      "(?:".repeat(256) + ")".repeat(256),
    ];
    for (let round = 0; round < 2_500; round++) for (const pattern of hostile) checkRegex(pattern);
  });
});
