// How long is waited before something is tried again.
import { expect, test } from "vitest";
import { Backoff } from "../../controlplane/kube/backoff.js";
import { KubeFault } from "../../controlplane/kube/object.js";

const next = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

test("Waits get twice as long up to a limit, and begin anew after a success", () => {
  const backoff = new Backoff({ first: 100, most: 1_000, random: () => 1 });
  expect(next(backoff, 6)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  expect(next(backoff, 2)).toEqual([100, 200]);
});

test("Chance spreads them over the upper half", () => {
  expect(next(new Backoff({ first: 100, most: 1_000, random: () => 0 }), 3)).toEqual([50, 100, 200]);
});

test("The server is not asked again before the time that it says", () => {
  const backoff = new Backoff({ first: 100, most: 1_000, random: () => 1 });
  expect(backoff.next(new KubeFault("too many requests", 429, "TooManyRequests", 3_000))).toBe(3_000);
  expect(backoff.next(new Error("other"))).toBe(200);
});
