// The behaviour of every store of rollouts; each store's test runs this suite with stores of its own.
import { beforeEach, describe, expect, it } from "vitest";
import type { RolloutPlan, RolloutState } from "../../controlplane/rollout/plan.js";
import type { RolloutStore } from "../../controlplane/rollout/store.js";

const PLAN: Omit<RolloutPlan, "id"> = {
  filter: "f",
  version: "v",
  selector: {},
  steps: [0.1, 1],
  holdMillis: 0,
  at: "2026-01-01T00:00:00.000Z",
  by: "a test",
};
const state = (more: Partial<RolloutState> = {}): RolloutState => ({
  phase: "rolling",
  step: 0,
  reached: 0.1,
  changedAt: "2026-01-01T00:00:01.000Z",
  ...more,
});

/** open: gives the same rollouts to all that it opened since it was last told to begin anew; kept: how many are not pruned. */
export function testRolloutStore(
  name: string,
  open: (kept?: number) => Promise<RolloutStore>,
  anew: () => Promise<void>,
): void {
  describe(`rollouts in ${name}`, () => {
    beforeEach(anew);

    it("are kept in the order in which they were asked for, however many ask at once", async () => {
      const [one, other] = [await open(), await open()];
      expect(await one.list()).toEqual([]);
      const plans = await Promise.all([one, other, one, other].map((store) => store.create(PLAN)));
      expect(plans.map(({ id }) => id).sort()).toEqual(["000001", "000002", "000003", "000004"]);
      const sorted = [...plans].sort((a, b) => (a.id < b.id ? -1 : 1));
      expect(await one.list()).toEqual(sorted.map((plan) => ({ plan })));
      expect(await other.list()).toEqual(await one.list());
    });

    it("have a state, and a wish to be taken back, that others see", async () => {
      const [commands, controlPlane] = [await open(), await open()];
      const plan = await commands.create(PLAN);
      await controlPlane.list();
      await controlPlane.saveState(plan.id, state());
      expect(await commands.list()).toEqual([{ plan, state: state() }]);
      await controlPlane.list();
      await controlPlane.saveState(plan.id, state({ step: 1, reached: 1 }));
      await commands.requestRollback(plan.id, "somebody");
      expect(await controlPlane.list()).toEqual([
        { plan, state: state({ step: 1, reached: 1 }), rollbackBy: "somebody" },
      ]);
      const back = state({ phase: "rolled-back", reason: "asked for" });
      await controlPlane.saveState(plan.id, back);
      expect(await (await open()).list()).toMatchObject([{ plan, state: back }]);
    });

    it("are pruned, and the next one still gets a number of its own", async () => {
      const [store, other] = [await open(0), await open(0)];
      for (let i = 0; i < 3; i++) {
        const { id } = await store.create(PLAN);
        await store.list();
        await store.saveState(id, state({ phase: "completed", step: 1, reached: 1 }));
      }
      await other.list();
      await store.prune();
      expect((await store.create(PLAN)).id).toBe("000004");
      for (const each of [store, other]) {
        expect((await each.list()).map(({ plan }) => plan.id)).toEqual(["000002", "000003", "000004"]);
      }
    });
  });
}
