// What decoding promises for every object, and that it takes anything.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseYaml } from "../../controlplane/sources/yaml.js";
import { decodeText, decodeValue, SMALL_VIRTUAL_SERVICE, VALID_FILES, validResource, validText } from "./decoding.js";

describe("decoding", () => {
  test("freezes everything, maps too", () => {
    const found = validResource("virtual-service", "VirtualService", "everything");
    expect(Object.isFrozen(found.spec.http[0]?.match[0]?.headers)).toBe(true);
    const headers = found.spec.http[0]?.match[0]?.headers as Map<string, unknown>;
    expect(() => headers.set("x", 1)).toThrow(TypeError);
    expect(() => headers.delete("end-user")).toThrow(TypeError);
    expect(() => headers.clear()).toThrow(TypeError);
    expect(() => Object.assign(found.meta.labels, { x: "y" })).toThrow(TypeError);
  });

  test("changes nothing of the value it is given", () => {
    const value = structuredClone(SMALL_VIRTUAL_SERVICE) as unknown as { spec: { http: unknown } };
    value.spec.http = "wrong";
    const copy = structuredClone(value);
    decodeValue(value);
    expect(value).toEqual(copy);
  });

  test("keeps locating fields after decoding", () => {
    const [found] = decodeText(
      "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspec:\n  egress:\n  - hosts: [./*]\n",
    );
    expect(found?.locate(["spec", "egress", 0, "hosts", 0])).toEqual({ file: "f.yaml", line: 6, column: 13 });
  });

  test("suggests the field that was meant", () => {
    const message = (spec: object) => decodeValue({ ...SMALL_VIRTUAL_SERVICE, spec }).violations[0]?.message;
    expect(message({ ...SMALL_VIRTUAL_SERVICE.spec, gatways: [] })).toContain("Did you mean gateways?");
    expect(message({ ...SMALL_VIRTUAL_SERVICE.spec, export_to: [] })).toContain("Did you mean exportTo?");
    expect(message({ ...SMALL_VIRTUAL_SERVICE.spec, nonsense: [] })).not.toContain("Did you mean");
  });

  test("says how to write what stands without quotes or a unit", () => {
    const rule = { timeout: 5, rewrite: { uri: 1 }, route: [{ destination: { host: "b" } }] };
    const { violations } = decodeValue({ ...SMALL_VIRTUAL_SERVICE, spec: { hosts: ["a"], http: [rule] } });
    expect(violations.map(({ path, message }) => [path, message.split(". ")[1]])).toEqual([
      ["spec.http[0].rewrite.uri", "Put it in quotes."],
      ["spec.http[0].timeout", "Write a number with a unit, as in 10s."],
    ]);
  });

  test.each([
    ["networking.istio.io/v2", "VirtualService", "error apiVersion"],
    ["networking.istio.io", "VirtualService", "error apiVersion"],
    ["v1", "VirtualService", "error apiVersion"],
    ["networking.istio.io/v1", "Virtualservice", "error kind"],
    ["networking.istio.io/v1", "EnvoyFilter", "error kind"],
    ["gateway.networking.k8s.io/v1", "Gateway", "warning kind"],
    ["kustomize.config.k8s.io/v1beta1", "Kustomization", "warning kind"],
  ])("tells of an object of %s %s, which may have no name", (apiVersion, kind, told) => {
    const { violations } = decodeValue({ apiVersion, kind, spec: {} });
    expect(violations.map(({ code, severity, path }) => `${code} ${severity} ${path}`)).toEqual([
      `unknown-kind ${told}`,
    ]);
  });

  test("lists a thousand faults of an object and says that there are more", () => {
    const spec = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`field${index}`, index]));
    const { violations } = decodeValue({ ...SMALL_VIRTUAL_SERVICE, spec: { ...SMALL_VIRTUAL_SERVICE.spec, ...spec } });
    expect(violations).toHaveLength(1_001);
    expect(violations.at(-1)?.message).toContain("further ones are not listed");
  });

  test("takes an object with 10,000 hostile regular expressions", () => {
    const http = Array.from({ length: 10_000 }, (_, index) => ({
      match: [{ uri: { regex: `(?i)[\\pL\\pN]{900}${"(".repeat(index % 900)}` } }],
      route: [{ destination: { host: "b" } }],
    }));
    const { violations } = decodeValue({ ...SMALL_VIRTUAL_SERVICE, spec: { hosts: ["a"], http } });
    expect(violations.filter(({ code }) => code === "invalid-regex").length).toBe(1_000);
  });

  test("never throws, whatever it is given, and gives a resource exactly when there is no error", () => {
    const name = fc.constantFrom(
      "metadata",
      "spec",
      "http",
      "match",
      "route",
      "headers",
      "tls",
      "subsets",
      "servers",
      "__proto__",
      "constructor",
      "toString",
      "length",
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6, withCrossShrink: true },
        fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(fc.oneof(name, fc.string()), tie("tree"), { maxKeys: 6, noNullPrototype: true }),
      ),
    }));
    const kinds = ["VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "WorkloadEntry", "Sidecar"];
    const object = fc.record({
      apiVersion: fc.constantFrom("networking.istio.io/v1", "v1", "discovery.k8s.io/v1"),
      kind: fc.constantFrom(...kinds, "Service", "Pod", "Secret", "EndpointSlice"),
      metadata: fc.oneof(fc.constant({ name: "a" }), tree),
      spec: tree,
    });
    fc.assert(
      fc.property(fc.oneof(tree, object), (value) => {
        expectResourceOrFault(value);
      }),
      { numRuns: 5_000, seed: 3 },
    );
  });

  test("never throws on a valid object in which any one value was replaced", () => {
    const valid = VALID_FILES.flatMap((file) => parseYaml(validText(file), file).objects.map(({ value }) => value));
    for (const value of valid) {
      for (const replacement of [
        null,
        "",
        "x",
        -1,
        1e9,
        0.5,
        true,
        [],
        {},
        [null],
        { a: {} },
        [[]],
        { __proto__: null },
      ]) {
        for (const changed of replacements(value, replacement)) {
          expectResourceOrFault(changed);
        }
      }
    }
  });
});

function expectResourceOrFault(value: unknown): void {
  const { resource, violations } = decodeValue(value);
  const refused = violations.some(({ severity, code }) => severity === "error" || code === "unknown-kind");
  expect(resource === undefined, JSON.stringify(violations)).toBe(refused);
}

/** The value with each of its parts, one at a time, replaced. */
function* replacements(value: unknown, replacement: unknown): Generator<unknown> {
  yield replacement;
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    for (const changed of replacements(part, replacement)) {
      if (Array.isArray(value)) yield value.map((item, index) => (String(index) === name ? changed : item));
      else yield { ...value, [name]: changed };
    }
  }
}
