// What replicas tell one another survives being written down, whatever it is.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeReport, encodeReport, policyId } from "../../controlplane/kube-status/report.js";

const count = fc.tuple(fc.nat(5), fc.nat(5), fc.nat(2)).map(([concerned, acknowledged, rejected]) => ({
  concerned,
  acknowledged,
  rejected,
  ...(rejected > 0 ? { error: `"${rejected}" rejected it` } : {}),
}));
const report = fc
  .uniqueArray(fc.tuple(fc.uuid(), fc.nat(9)), { selector: String, maxLength: 40 })
  .chain((objects) =>
    fc.tuple(...objects.map(([uid, generation]) => fc.tuple(fc.constant(policyId({ uid, generation })), count))),
  )
  .map((entries) => new Map(entries));

test("A report is read as it was written, and is the same text in whatever order it was made", () => {
  fc.assert(
    fc.property(report, (written) => {
      const text = encodeReport(written);
      expect(decodeReport(text)).toEqual(written);
      expect(encodeReport(new Map([...written].reverse()))).toBe(text);
    }),
    { seed: 8, numRuns: 200 },
  );
});

test("A generation of an object has a name of its own, of eight characters", () => {
  const ids = [
    policyId({ uid: "a", generation: 1 }),
    policyId({ uid: "a", generation: 2 }),
    policyId({ uid: "b", generation: 1 }),
  ];
  expect(new Set(ids).size).toBe(3);
  expect(ids.every((id) => /^[\w-]{8}$/.test(id))).toBe(true);
});

test("5,000 policies that all proxies have take less than 50 KB", () => {
  const all = Array.from({ length: 5_000 }, (_, index) => policyId({ uid: `u${index}`, generation: 1 }));
  const acknowledged = { concerned: 3, acknowledged: 3, rejected: 0 };
  expect(encodeReport(new Map(all.map((id) => [id, acknowledged]))).length).toBeLessThan(50_000);
});

test("What is no report says nothing", () => {
  for (const text of ["", "x", "{}", "null"]) expect(decodeReport(text)).toBeUndefined();
});
