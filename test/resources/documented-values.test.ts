// Objects that differ from one without fault in a single value: those that the documentation allows have no fault, and
// the others have that one, where the value stands.
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { faultsOfText } from "./corpus.js";
import { DOCUMENTED_VALUES, type FieldValues } from "./documented-values.js";

const SPECS: Readonly<Record<string, () => object>> = {
  VirtualService: () => ({ hosts: ["a"], http: [{ route: [{ destination: { host: "b" } }] }] }),
  DestinationRule: () => ({ host: "a" }),
  Gateway: () => ({
    selector: { app: "gw" },
    servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["a.example.com"] }],
  }),
  ServiceEntry: () => ({
    hosts: ["a.example.com"],
    ports: [{ number: 80, name: "http", protocol: "HTTP" }],
    resolution: "DNS",
  }),
  Sidecar: () => ({ egress: [{ hosts: ["./*"] }] }),
  WorkloadEntry: () => ({ address: "10.0.0.1" }),
  WorkloadGroup: () => ({ template: {} }),
};

/** Puts a value where the path says, making what is missing on the way; undefined takes away. */
function put(target: object, path: string, value: unknown): void {
  const steps = path.split(/[.[\]]+/).filter(Boolean);
  let at = target as Record<string, unknown>;
  for (const [index, step] of steps.slice(0, -1).entries()) {
    at[step] ??= /^\d+$/.test(steps[index + 1] as string) ? [] : {};
    at = at[step] as Record<string, unknown>;
  }
  const last = steps.at(-1) as string;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

function textOf({ kind, field, beside }: FieldValues, value: unknown): string {
  const spec = SPECS[kind]?.() ?? {};
  for (const [path, other] of Object.entries(beside ?? {})) put(spec, path, other);
  put(spec, field, value);
  return stringify({ apiVersion: "networking.istio.io/v1", kind, metadata: { name: "x" }, spec });
}

const shown = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value)).join(" ");

describe("the documented values", () => {
  test("are 300 at least that are allowed, and 300 that are not, each an object of its own", () => {
    for (const side of ["valid", "invalid"] as const) {
      const texts = DOCUMENTED_VALUES.flatMap((row) => row[side].map((value) => textOf(row, value)));
      expect(new Set(texts).size).toBeGreaterThanOrEqual(300);
    }
  });

  test.each(DOCUMENTED_VALUES)("$kind $field allows what it may be", (row) => {
    const faults = row.valid.flatMap((value) =>
      faultsOfText(textOf(row, value), "f").map(({ code, path, message }) => `${value}: ${code} ${path} ${message}`),
    );
    expect(faults, shown(row.valid)).toEqual([]);
  });

  test.each(DOCUMENTED_VALUES)("$kind $field refuses what it may not be, once and there", (row) => {
    for (const value of row.invalid) {
      const text = textOf(row, value);
      const faults = faultsOfText(text, "f");
      const told = faults.map(({ severity, code, path }) => `${severity} ${code} ${path}`);
      expect(told, JSON.stringify(value)).toEqual([`error ${row.code} spec.${row.field}`]);
      const { line = 0, column = 0 } = faults[0]?.position ?? {};
      const key = row.field.endsWith("]") ? "" : row.field.slice(row.field.lastIndexOf(".") + 1);
      expect(text.split("\n")[line - 1]?.slice(column - 1), JSON.stringify(value)).toMatch(new RegExp(`^"?${key}`));
    }
  });
});
