// A reading that is passed in pieces is the same afterwards, and no piece is large.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { VirtualServiceSpec } from "../../controlplane/resources/virtual-service.js";
import { cut, Joining, type Piece } from "../../controlplane/sources/pieces.js";
import { type FileOutcome, readObjects } from "../../controlplane/sources/reading.js";
import { entry, temporaryDirectory } from "./entries.js";

let directory: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ directory, remove } = await temporaryDirectory());
});
afterEach(() => remove());

async function read(text: string): Promise<FileOutcome> {
  const path = join(directory, "a.yaml");
  await writeFile(path, text);
  return readObjects({ path, defaultNamespace: "default", known: new Map() });
}

function joined(pieces: Iterable<Piece>): FileOutcome | undefined {
  const joining = new Joining();
  for (const piece of pieces) joining.add(structuredClone(piece));
  return joining.outcome;
}

const rule = (index: number) => `  - {match: [{uri: {prefix: /${index}}}], route: [{destination: {host: b}}]}\n`;
const large = (rules: number) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n${Array.from({ length: rules }, (_, index) => rule(index)).join("")}`;

describe("a reading in pieces", () => {
  test("is the same when it is put together", async () => {
    for (const text of [large(1_001), `${entry("a", "a")}---\n${entry("b", undefined)}---\nkind: [\n`, ""]) {
      const outcome = await read(text);
      expect(joined(cut(outcome))).toEqual(outcome);
    }
    const missing = readObjects({ path: join(directory, "no"), defaultNamespace: "default", known: new Map() });
    expect(joined(cut(missing))).toEqual(missing);
  });

  test("has no large piece, whether there is one large object or there are many small ones", async () => {
    const many = Array.from({ length: 2_000 }, (_, index) => entry(`n${index}`, "a")).join("---\n");
    for (const text of [large(5_000), many]) {
      const sizes = [...cut(await read(text))].map((piece) => JSON.stringify(contentOf(piece))?.length ?? 0);
      expect(sizes.length).toBeGreaterThan(5);
      expect(Math.max(...sizes)).toBeLessThan(150_000);
    }
  });

  test("gives frozen entries of long lists, whose thawed copies would have to be frozen at once", async () => {
    const outcome = joined(cut(await read(large(1_001))));
    if (outcome === undefined || "violation" in outcome) throw new Error("The file was not read.");
    const [object] = outcome.reading.objects;
    if (object?.content?.kind !== "VirtualService") throw new Error("The object was not decoded.");
    const { http } = object.content.spec as VirtualServiceSpec;
    expect([http.length, http.every((one) => Object.isFrozen(one))]).toEqual([1_001, true]);
  });

  test("and nothing is nothing", () => {
    expect(joined([])).toBeUndefined();
  });
});

function contentOf(piece: Piece): unknown {
  if ("objects" in piece) return piece.objects.map(({ content, violations }) => [content, violations]);
  return "items" in piece ? piece.items : undefined;
}
