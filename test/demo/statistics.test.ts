// The bounds that the demo's shares are held against.
import fc from "fast-check";
import { expect, test } from "vitest";
import { binomialRange } from "../../controlplane/cli/demo/statistics.js";

/** Pascal's triangle in plain numbers: slow, and obviously right. */
function probability(n: number, p: number, k: number): number {
  let term = (1 - p) ** n;
  for (let i = 0; i < k; i += 1) term *= ((n - i) / (i + 1)) * (p / (1 - p));
  return term;
}

test("Outside of the range lies no more than one run in a million, half of it on each side", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.double({ min: 0.01, max: 0.9, noNaN: true }), (n, p) => {
      const { least, most } = binomialRange(n, p);
      const sum = (from: number, to: number) => {
        let total = 0;
        for (let k = from; k <= to; k += 1) total += probability(n, p, k);
        return total;
      };
      expect(sum(0, least - 1)).toBeLessThanOrEqual(5e-7 + 1e-9);
      expect(sum(0, least)).toBeGreaterThan(5e-7 - 1e-9);
      expect(sum(most + 1, n)).toBeLessThanOrEqual(5e-7 + 1e-9);
      expect(least).toBeLessThanOrEqual(most);
    }),
    { seed: 3, numRuns: 200 },
  );
});

test("One in a thousand of 15,000 is at least one: a fault that is not injected at all is found", () => {
  expect(binomialRange(15_000, 0.001)).toEqual({ least: 1, most: 37 });
});

test("Nothing and everything leave no room", () => {
  expect(binomialRange(1000, 0)).toEqual({ least: 0, most: 0 });
  expect(binomialRange(1000, 1)).toEqual({ least: 1000, most: 1000 });
});
