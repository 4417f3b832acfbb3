// Which revision a proxy has acknowledged, in whatever order a round of publishing and its answers interleave.
import { expect, test } from "vitest";
import { Revisions } from "../../controlplane/publish/revisions.js";
import type { SourceState } from "../../controlplane/sources/source.js";

const state: SourceState = { resources: new Map(), violations: [], changed: new Set() };
const publish = (revisions: Revisions) => revisions.published(undefined, state, () => 0);

async function eventsOf(revisions: Revisions): Promise<string[]> {
  return (await revisions.eventsAfter(0, 0)).map(({ type, revision }) => `${type} ${revision}`);
}

test("A proxy that answers before the last one is published to has acknowledged the revision all the same", async () => {
  const revisions = new Revisions();
  publish(revisions);
  revisions.connected("a");
  revisions.settled("a");
  revisions.touched("a");
  revisions.settled("a");
  publish(revisions);
  expect(revisions.acknowledgedBy("a")).toBe(2);
  expect(await eventsOf(revisions)).toEqual(["change 1", "acknowledged 1", "change 2", "acknowledged 2"]);
});

test("A revision that touches a proxy is outstanding until the proxy answers, and one that does not is not", () => {
  const revisions = new Revisions();
  publish(revisions);
  revisions.connected("a");
  revisions.settled("a");
  revisions.touched("a");
  publish(revisions);
  expect(revisions.acknowledgedBy("a")).toBe(1);
  expect(revisions.acknowledgedBy("b")).toBe(2);
  revisions.settled("a");
  expect(revisions.acknowledgedBy("a")).toBe(2);
});

test("A proxy that goes before its revision is out is not told to have acknowledged it", async () => {
  const revisions = new Revisions();
  publish(revisions);
  revisions.touched("a");
  revisions.settled("a");
  revisions.disconnected("a");
  publish(revisions);
  expect(await eventsOf(revisions)).toEqual(["change 1", "change 2"]);
});

test("Violations are counted for the newest changes alone, so that old states are let go of, and what was counted stays", async () => {
  const revisions = new Revisions();
  const counted: number[] = [];
  const publishNumbered = (number: number) =>
    revisions.published(undefined, state, () => {
      counted.push(number);
      return number;
    });
  const violations = async () =>
    (await revisions.eventsAfter(0, 0)).map((event) => (event.type === "change" ? event.violations : undefined));
  publishNumbered(1);
  expect(await violations()).toEqual([1]);
  for (let number = 2; number <= 4; number++) publishNumbered(number);
  expect(await violations()).toEqual([1, undefined, 3, 4]);
  expect(counted).toEqual([1, 3, 4]);
});

test("A proxy that has something outstanding has acknowledged all that came before, whether or not it concerned it", () => {
  const revisions = new Revisions();
  publish(revisions);
  revisions.connected("a");
  revisions.settled("a");
  publish(revisions);
  publish(revisions);
  revisions.touched("a");
  publish(revisions);
  revisions.touched("a");
  publish(revisions);
  expect(revisions.acknowledgedBy("a")).toBe(3);
});
