// A mesh with a filter registry, and what tests of swaps do with it.
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { DirectoryRollouts } from "../../controlplane/rollout/directory-rollouts.js";
import type { Rollout, RolloutPlan } from "../../controlplane/rollout/plan.js";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { TRIAL_THREAD } from "../harness/filter-modules.js";
import { startTestMesh, type TestMesh } from "../harness/mesh.js";
import type { Scope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

export const FILTER = "headgate.traffic";

export interface SwapMesh {
  readonly mesh: TestMesh;
  push(version: string, wasm: Uint8Array): Promise<void>;
  use(version: string, plan?: Partial<RolloutPlan>): Promise<RolloutPlan>;
  rollBack(plan: RolloutPlan): Promise<void>;
  /** Resolves with the rollout when it is completed or rolled back. */
  ended(plan: RolloutPlan, timeoutMs?: number): Promise<Rollout>;
  rollout(plan: RolloutPlan): Promise<Rollout | undefined>;
  proxies(): Promise<FilterView["proxies"]>;
}

export async function startSwapMesh(scope: Scope): Promise<SwapMesh> {
  const directory = await scope.directory();
  const mesh = await startTestMesh(scope, { filters: directory });
  const registry = new FilterRegistry(new DirectoryVersions(directory));
  const store = new DirectoryRollouts(directory);
  const rollout = async ({ id }: RolloutPlan) =>
    (await mesh.filters()).rollouts.find((candidate) => candidate.plan.id === id);
  return {
    mesh,
    rollout,
    async push(version, wasm) {
      const pushed = await registry.push({ name: FILTER, version, wasm, by: "a test", thread: TRIAL_THREAD });
      if ("fault" in pushed) throw new Error(pushed.fault.message);
    },
    use: (version, plan = {}) =>
      store.create({
        filter: FILTER,
        version,
        selector: {},
        steps: [1],
        holdMillis: 0,
        at: new Date().toISOString(),
        by: "a test",
        ...plan,
      }),
    rollBack: ({ id }) => store.requestRollback(id, "a test"),
    ended: (plan, timeoutMs = 30_000) =>
      eventually(
        `rollout ${plan.id} ends`,
        async () => {
          const found = await rollout(plan);
          return found?.state && found.state.phase !== "rolling" ? found : undefined;
        },
        timeoutMs,
      ),
    proxies: async () => (await mesh.filters()).proxies,
  };
}
