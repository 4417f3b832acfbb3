// Tasks that share the event loop: as many as fit into a stretch go on, one after the other, then everybody else.
import { expect, test } from "vitest";
import { Slices } from "../../controlplane/publish/slices.js";

const TASKS = 20;

/** Has so many tasks wait for their turn, work in three parts, and tells in which time around the loop each did the last. */
async function roundsOf(slices: Slices) {
  let round = 0;
  let isOver = false;
  const count = () => {
    round++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const done: { readonly task: number; readonly round: number }[] = [];
  let working: number | undefined;
  const work = async (task: number) => {
    await slices.turn();
    for (let part = 0; part < 3; part++) {
      expect(working ?? task).toBe(task);
      working = task;
      await undefined;
    }
    working = undefined;
    done.push({ task, round });
  };
  await Promise.all(Array.from({ length: TASKS }, (_, task) => work(task)));
  isOver = true;
  return done;
}

test("all that fit into a stretch have their turn in one time around the loop, each when the one before has done", async () => {
  const done = await roundsOf(new Slices(60_000));
  expect(done.map(({ task }) => task)).toEqual(Array.from({ length: TASKS }, (_, task) => task));
  expect(new Set(done.map(({ round }) => round)).size).toBe(1);
});

test("when a stretch is used up the next one waits until everybody else had a turn", async () => {
  const done = await roundsOf(new Slices(0));
  expect(done.map(({ task }) => task)).toEqual(Array.from({ length: TASKS }, (_, task) => task));
  expect(new Set(done.map(({ round }) => round)).size).toBe(TASKS);
});
