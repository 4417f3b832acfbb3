// The control plane is killed at random moments of rollouts: each goes on or back, and none stays between.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { createBootstrap } from "../../controlplane/agent/bootstrap.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { RolloutStore } from "../../controlplane/rollout/store.js";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { FILTER } from "./swapping.js";
import { RULES } from "./workload.js";

const full = process.env.HEADGATE_SWAPS === "full";
const KILLS = Number(process.env.HEADGATE_KILLS ?? (full ? 50 : 2));
const SEED = Number(process.env.HEADGATE_SEED ?? 7);
const scope = testScope();

it(`kill -9 of the control plane at ${KILLS} moments, seed ${SEED}`, { timeout: 900_000 }, async () => {
  const random = randomFrom(SEED);
  const directory = await scope.directory();
  const [policies, filters] = [join(directory, "policies"), join(directory, "filters")];
  await mkdir(policies);
  const [v1, v2] = [await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  await writeFile(join(policies, "service.yaml"), httpService("reviews", { v1, v2 }));
  await writeFile(join(policies, "rules.yaml"), RULES);
  const port = await freePort();
  const args = ["--config", policies, "--filters", filters, "--ads", `127.0.0.1:${port}`, "--admin", "127.0.0.1:0"];
  let serve = await startServe(scope, args);
  for (const name of ["a", "b"]) await startSidecar(name, port);
  const registry = new FilterRegistry(filters);
  const store = new RolloutStore(filters);
  for (const version of ["odd", "even"]) {
    const request = { name: FILTER, version, wasm: sameFilter(version), by: "a test", thread: TRIAL_THREAD };
    expect(await registry.push(request)).toMatchObject({ value: { version } });
  }
  let expected = "built-in";
  for (let kill = 0; kill < KILLS; kill++) {
    const version = kill % 2 === 0 ? "odd" : "even";
    const at = new Date().toISOString();
    const base = { filter: FILTER, version, selector: {}, steps: [0.5, 1], holdMillis: 200, at, by: "a test" };
    const { id } = await store.create(base);
    const takenBack = random() < 0.4;
    await sleep(random() * 1_200);
    if (takenBack) await store.requestRollback(id, "a test");
    await sleep(random() * 200);
    await serve.kill();
    serve = await startServe(scope, args);
    const view = async () => (await (await fetch(`http://${serve.admin}/filters`)).json()) as FilterView;
    const phase = takenBack ? "rolled-back" : "completed";
    if (!takenBack) expected = version;
    await eventually(
      `rollout ${id}, killed ${kill}, is ${phase} and everywhere`,
      async () => {
        const { rollouts, proxies } = await view();
        const state = rollouts.find(({ plan }) => plan.id === id)?.state;
        const all = proxies.every(({ running, assigned }) => running === expected && assigned === expected);
        return state?.phase === phase && proxies.length === 2 && all;
      },
      30_000,
    );
  }
});

async function startSidecar(name: string, port: number): Promise<void> {
  const address = await loopbackAddress(scope);
  const identity = {
    role: "sidecar",
    name,
    namespace: "default",
    addresses: [address],
    labels: {},
    interceptionMode: "NONE",
    unprivileged: true,
  } as const;
  await startTestEnvoy(
    scope,
    createBootstrap({ ...identity, addresses: [address] }, { ads: { host: "127.0.0.1", port } }),
  );
}

/** Numbers in [0, 1) that a seed decides. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
