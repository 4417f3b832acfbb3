// The policy compiler: the same rules give the same image, and mistakes are told one by one.
import { expect, test } from "vitest";
import { compilePolicy, undecidedRouteName } from "../../controlplane/policy/compile.js";
import { murmur3 } from "../../controlplane/policy/murmur3.js";
import { compile, exact, match, prefix, regex, rule } from "../filter/traffic-envoy.js";

test("The same rules give the same image, and other rules another hash", () => {
  const rules = () => [rule("a", match({ uri: prefix("/a") }), match({ uri: regex("/b/.*") })), rule("b")];
  const [first, second] = [compile(rules()), compile(rules())];
  expect(second.image).toEqual(first.image);
  expect(second.hash).toBe(first.hash);
  expect(first.hash).toMatch(/^[0-9a-f]{32}$/);
  expect(undecidedRouteName(first)).toBe(`headgate:${first.hash}`);
  const others = [[rule("a"), rule("b")], [rule("b"), rule("a")], rules().slice(0, 1), []].map((r) => compile(r).hash);
  expect(new Set([first.hash, ...others]).size).toBe(5);
});

test("Every pattern that does not compile is told with its place, and nothing is compiled then", () => {
  const { compiled, problems } = compilePolicy([
    rule("a", match({ uri: prefix("/a") }), match({ uri: regex("(") })),
    rule(
      "b",
      match({ headers: new Map([["x-a", regex("(?=a)")]]), queryParams: new Map([["q", regex("[ab]*a[ab]{20}")]]) }),
    ),
    rule("c", match({ withoutHeaders: new Map([["x-b", regex("a**")]]) })),
  ]);
  expect(compiled).toBeUndefined();
  expect(problems).toEqual([
    {
      ruleIndex: 0,
      matchIndex: 1,
      field: "uri.regex",
      code: "invalid-regex",
      message: expect.stringContaining("not RE2"),
    },
    { ruleIndex: 1, matchIndex: 0, field: "headers.x-a.regex", code: "invalid-regex", message: expect.any(String) },
    { ruleIndex: 1, matchIndex: 0, field: "queryParams.q.regex", code: "regex-too-large", message: expect.any(String) },
    {
      ruleIndex: 2,
      matchIndex: 0,
      field: "withoutHeaders.x-b.regex",
      code: "invalid-regex",
      message: expect.any(String),
    },
  ]);
});

test("Ten thousand rules make an image of about a megabyte", () => {
  const rules = Array.from({ length: 10_000 }, (_, i) =>
    rule(`route-${i}`, match({ headers: new Map([["x-user", exact(`user-${i}`)]]), uri: prefix(`/service/${i}/`) })),
  );
  expect(compile(rules).image.length).toBeLessThan(3 * 2 ** 20);
});

test("The hash is MurmurHash3", () => {
  const hash = (text: string, seed = 0) => murmur3(Buffer.from(text), seed);
  expect([hash(""), hash("", 1), hash("a"), hash("abc"), hash("test"), hash("Hello, world!", 0x9747b28c)]).toEqual([
    0, 0x514e28b7, 0x3c2569b2, 0xb3dd93fa, 0xba6bd213, 0x24884cba,
  ]);
});
