// Every field of Istio's API is known, with what Headgate does with it.
import { describe, expect, test } from "vitest";
import { listSupport } from "../../controlplane/resources/support.js";

const fields = listSupport();
const byPath = new Map(fields.map(({ kind, path, support }) => [`${kind} ${path}`, support]));

describe("the fields of Istio's API", () => {
  test("all say whether they work or are refused, and how much they are used", () => {
    expect(fields.filter(({ support }) => support === undefined)).toEqual([]);
    expect(fields.length).toBeGreaterThan(300);
  });

  test("are refused only where they are rare, and every core and expected field works", () => {
    expect(fields.filter(({ support }) => support?.status === "refused" && support.tier !== "rare")).toEqual([]);
  });

  test("say their successor where they are deprecated", () => {
    const successors = fields.filter(({ support }) => support?.successor !== undefined);
    expect(new Set(successors.map(({ path }) => path.split(".").at(-1)))).toEqual(
      new Set([
        "mirrorPercent",
        "percent",
        "allowOrigin",
        "warmupDurationSecs",
        "minimumRingSize",
        "consecutiveErrors",
      ]),
    );
  });

  test("are found in lists and maps too", () => {
    expect(byPath.get("VirtualService spec.http[].match[].headers{}.exact")).toEqual({ status: "works", tier: "core" });
    expect(byPath.get("Gateway spec.servers[].tls.caCrl")).toEqual({ status: "refused", tier: "rare" });
  });
});
