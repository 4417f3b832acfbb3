// Reading YAML: values, positions, and what hostile or mistaken text comes to.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseYaml, YAML_LIMITS } from "../../controlplane/sources/yaml.js";

function values(text: string): unknown[] {
  return parseYaml(text, "f.yaml").objects.map((object) => object.value);
}

/** code@line:column of each violation. */
function faults(text: string): string[] {
  return parseYaml(text, "f.yaml").violations.map(
    ({ code, position }) => `${code}@${position?.line}:${position?.column}`,
  );
}

describe("values", () => {
  test("documents are read in order, and empty ones are left out", () => {
    expect(values("---\na: 1\n---\n# nothing\n---\nb: [x, null, true, 1.5]\n...\n")).toEqual([
      { a: 1 },
      { b: ["x", null, true, 1.5] },
    ]);
    expect(values("")).toEqual([]);
    expect(values("\n\n# a comment\n")).toEqual([]);
  });

  test("JSON is read like YAML", () => {
    expect(values('{"a": {"b": [1, "2"]}}')).toEqual([{ a: { b: [1, "2"] } }]);
  });

  test("keys are strings, also those that look like numbers, and yes and on are words", () => {
    expect(values("1: a\n1.10: b\ntrue: c\nyes: on\n")).toEqual([{ "1": "a", "1.10": "b", true: "c", yes: "on" }]);
  });

  test("an anchor's value is shared by its aliases", () => {
    expect(values("a: &x {p: 1}\nb: *x\nc: [*x]\n")).toEqual([{ a: { p: 1 }, b: { p: 1 }, c: [{ p: 1 }] }]);
  });

  test("a merge key brings in what an object does not have itself, from the first that has it", () => {
    const [merged] = values(
      "a: &x {p: 1, q: 1}\nb: &y {q: 2, r: 2, s: 2}\nc: {<<: [*x, *y], r: 3}\nd: {q: 4, <<: *x}\n",
    );
    expect(merged).toMatchObject({ c: { p: 1, q: 1, r: 3, s: 2 }, d: { p: 1, q: 4 } });
    expect(values('a: {"<<": {p: 1}}\n')).toEqual([{ a: { "<<": { p: 1 } } }]);
    const [harmless] = values("a: {<<: {__proto__: {polluted: true}}}\n") as [{ a: object }];
    expect(Object.getPrototypeOf(harmless.a)).toBe(Object.prototype);
  });

  test("a merge key stands once, takes objects alone, and grows a document no more than aliases may", () => {
    expect(faults("a: &x {p: 1}\nb: {<<: *x, <<: *x}\n")).toEqual(["yaml-syntax@2:13"]);
    expect(faults("a: {<<: 1}\n")).toEqual(["yaml-syntax@1:5"]);
    expect(faults("a: {<<: [[1]]}\n")).toEqual(["yaml-syntax@1:5"]);
    const wide = Array.from({ length: 2_000 }, (_, index) => `k${index}: 1`).join(", ");
    expect(faults(`${"{<<: ".repeat(90)}{${wide}}${"}".repeat(90)}\n`)).toEqual([
      expect.stringContaining("yaml-limit@1:"),
    ]);
  });

  test("__proto__ is an ordinary key and changes no prototype", () => {
    const [value] = values("__proto__: {polluted: true}\nconstructor: {prototype: {polluted: true}}\n") as [object];
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("YAML's own tags are allowed and others are refused", () => {
    expect(values("a: !!str 1\n")).toEqual([{ a: "1" }]);
    expect(faults("a: !secret x\n")).toEqual(["yaml-syntax@1:1"]);
    expect(faults("a: !!binary aGk=\n")).toEqual(["yaml-syntax@1:1"]);
    expect(faults("a: !<tag:example.com,2000:x> {}\n")).toEqual(["yaml-syntax@1:1"]);
  });
});

describe("positions", () => {
  const text = [
    "# first line",
    "kind: VirtualService",
    "spec:",
    "  http:",
    "  - name: a",
    "    route:",
    "    - {weight: 1}",
    "    -   weight: 2",
    '  "quoted key": {x: [1, {y: 2}]}',
  ].join("\n");

  test.each([
    [["spec"], 3, 1],
    [["spec", "http", 0], 5, 5],
    [["spec", "http", 0, "route", 0, "weight"], 7, 8],
    [["spec", "http", 0, "route", 1, "weight"], 8, 9],
    [["spec", "quoted key", "x", 1, "y"], 9, 26],
    [["spec", "quoted key", "x", 0], 9, 22],
    [[], 2, 1],
  ])("of %j is line %i, column %i", (path, line, column) => {
    const [object] = parseYaml(text, "f.yaml").objects;
    expect(object?.locate(path)).toEqual({ file: "f.yaml", line, column });
  });

  test("a field that is not there is placed at its nearest ancestor", () => {
    const [object] = parseYaml(text, "f.yaml").objects;
    expect(object?.locate(["spec", "http", 0, "timeout"])).toMatchObject({ line: 5, column: 5 });
    expect(object?.locate(["spec", "http", 7, "route", 3])).toMatchObject({ line: 4, column: 3 });
    expect(object?.locate(["nothing"])).toMatchObject({ line: 2, column: 1 });
  });

  test("count from the beginning of the file in every document, with either kind of line end", () => {
    const [, second] = parseYaml("a: 1\r\n---\r\nb:\r\n  c: 1\r\n", "f.yaml").objects;
    expect(second?.locate(["b", "c"])).toEqual({ file: "f.yaml", line: 4, column: 3 });
  });

  test("within what an alias stands for are those of the alias", () => {
    const [object] = parseYaml("a: &x\n  p: 1\nb: *x\n", "f.yaml").objects;
    expect(object?.locate(["b", "p"])).toMatchObject({ line: 3, column: 1 });
  });
});

describe("mistakes", () => {
  test("a document that is no YAML is reported where it breaks, and the others are read", () => {
    const text = "a: 1\n---\nb: [1,\n---\nc: 3\n";
    expect(values(text)).toEqual([{ a: 1 }, { c: 3 }]);
    expect(faults(text)).toContain("yaml-syntax@4:1");
  });

  test.each([
    ["hosts:\n- reviews\n http: []\n", "indented further"],
    ["kind VirtualService\nspec: {}\n", "a colon is missing"],
    ["metadata:\n  name: a\n spec: {}\n", "Look at the indentation"],
    ["hosts: [*.example.com]\n", "put it in quotes"],
    ["hosts:\n- *\n", "put it in quotes"],
    ["name: {{ .Values.name }}\n", "template"],
  ])("a common one is told with what to do: %j", (text, advice) => {
    expect(parseYaml(text, "f.yaml").violations[0]?.message).toContain(advice);
  });

  test("a key that stands twice is reported at the second one", () => {
    expect(faults("a: 1\nb:\n  c: 1\n  c: 2\n")).toEqual(["yaml-syntax@4:3"]);
    expect(faults('a: {x: 1, "x": 2}\n')).toEqual(["yaml-syntax@1:11"]);
  });

  test("a key that is a collection is refused", () => {
    expect(faults("? [a, b]\n: 1\n").length).toBeGreaterThan(0);
    expect(values("? [a, b]\n: 1\n")).toEqual([]);
  });

  test("an alias of nothing, and one within what it stands for, are refused", () => {
    expect(faults("a: *nowhere\n")).toHaveLength(1);
    expect(faults("a: &x [*x]\n")).toEqual(["yaml-syntax@1:8"]);
  });

  test("no message shows the text that is wrong, which may be a secret's", () => {
    for (const text of [
      "a: b\n]marker",
      "a: |marker\n b\n",
      "a: {b: marker]\n",
      'a: "marker\n',
      "a: b: marker\n",
      "@marker",
    ]) {
      const { violations } = parseYaml(text, "f.yaml");
      expect(violations.length, text).toBeGreaterThan(0);
      expect(JSON.stringify(violations)).not.toContain("marker");
    }
  });

  test("a flood of faults in one document is cut short", () => {
    const { violations } = parseYaml("]".repeat(10_000), "f.yaml");
    expect(violations.length).toBeGreaterThan(0);
    expect(violations.length).toBeLessThanOrEqual(YAML_LIMITS.errors);
  });
});

describe("bombs", () => {
  test("aliases that multiply are refused before they are expanded", () => {
    const levels = Array.from(
      { length: 30 },
      (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(", ")}]`,
    );
    expect(faults(`l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n${levels.join("\n")}\n`)[0]).toMatch(/^yaml-limit@/);
  });

  test.each([
    ["[", "["],
    ["{", "{a: "],
    ["-", "- "],
    ["?", "? "],
    ["[{", "[{a: "],
  ])("100,000 collections within one another, opened by %s, are refused", (_, opening) => {
    expect(faults(opening.repeat(100_000))[0]).toMatch(/^yaml-limit@/);
  });

  test("deep nesting by indentation is refused", () => {
    const text = Array.from({ length: 1_000 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join("");
    expect(faults(text)[0]).toMatch(/^yaml-limit@/);
  });

  test("nesting up to the limit is read", () => {
    expect(faults("[".repeat(150) + "]".repeat(150))).toEqual([]);
  });

  test("a text over the limit of size is refused unread", () => {
    expect(faults(`a: ${"x".repeat(YAML_LIMITS.size)}`)).toEqual(["yaml-limit@1:1"]);
  });

  test("too many documents are refused", () => {
    expect(faults("---\na: 1\n".repeat(YAML_LIMITS.documents + 10))[0]).toMatch(/^yaml-limit@/);
  });

  test("a hundred thousand keys, all different, are read in time that grows with their number", () => {
    const [value] = values(Array.from({ length: 100_000 }, (_, i) => `k${i}: 1\n`).join("")) as [object];
    expect(Object.keys(value)).toHaveLength(100_000);
  });
});

describe("any text", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 5 }),
    fc.constantFrom(
      "\n",
      "  ",
      "- ",
      "a: ",
      "? ",
      "[",
      "]",
      "{",
      "}",
      "&x ",
      "*x",
      "!t ",
      "!!set ",
      "|\n",
      ">-\n",
      '"',
      "'",
    ),
    fc.constantFrom(
      "---\n",
      "...\n",
      "%YAML 1.1\n",
      "%TAG ! x\n",
      "<<: ",
      "#",
      "\t",
      "\u0000",
      "\ufeff",
      "__proto__: ",
      ",",
    ),
  );

  test("gives objects and violations, and never throws", () => {
    const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(text, (input) => {
        const { objects, violations } = parseYaml(input, "f.yaml");
        for (const object of objects) expect(object.locate(["spec", 0, "x"])?.line).toBeGreaterThan(0);
        for (const violation of violations) expect(violation.position?.column).toBeGreaterThan(0);
      }),
      { numRuns: 5_000, seed: 11 },
    );
  });
});
