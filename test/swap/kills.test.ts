// The control plane, agents and Envoys are killed at random moments of rollouts: each rollout goes on or back, none stays
// between, and no process is left over.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { DirectoryRollouts } from "../../controlplane/rollout/directory-rollouts.js";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { allGone, descendants, type Running, runHeadgate } from "../harness/headgate.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { FILTER } from "./swapping.js";
import { RULES } from "./workload.js";

const full = process.env.HEADGATE_SWAPS === "full";
const KILLS = Number(process.env.HEADGATE_KILLS ?? (full ? 50 : 3));
const SEED = Number(process.env.HEADGATE_SEED ?? 7);
const VICTIMS = ["control plane", "agent", "Envoy"] as const;
const scope = testScope();

it(`kill -9 of the control plane, an agent or an Envoy at ${KILLS} moments, seed ${SEED}`, {
  timeout: 60_000 + 15_000 * KILLS,
}, async () => {
  const random = randomFrom(SEED);
  const directory = await scope.directory();
  const [policies, filters] = [join(directory, "policies"), join(directory, "filters")];
  await mkdir(policies);
  const [v1, v2] = [await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  await writeFile(join(policies, "service.yaml"), httpService("reviews", { v1, v2 }));
  await writeFile(join(policies, "rules.yaml"), RULES);
  const ads = `127.0.0.1:${await freePort()}`;
  const args = ["--config", policies, "--filters", filters, "--ads", ads, "--admin", "127.0.0.1:0"];
  let serve = await startServe(scope, args);
  const addresses = [await loopbackAddress(scope), await loopbackAddress(scope)];
  const agents = addresses.map((address) => startAgent(address, ads));
  const view = async () => (await (await fetch(`http://${serve.admin}/filters`)).json()) as FilterView;
  const told = async () => JSON.stringify([await view(), agents.map(({ stderr }) => stderr())], null, 1);
  await within(
    "both proxies are there",
    async () => ((await view()).proxies.length === agents.length ? true : undefined),
    told,
  );
  const registry = new FilterRegistry(new DirectoryVersions(filters));
  const store = new DirectoryRollouts(filters);
  for (const version of ["odd", "even"]) {
    const request = { name: FILTER, version, wasm: sameFilter(version), by: "a test", thread: TRIAL_THREAD };
    expect(await registry.push(request)).toMatchObject({ value: { version } });
  }
  let standing = "built-in";
  const ends = { completed: 0, "rolled-back": 0 };
  const killed: Record<string, number> = {};
  for (let kill = 0; kill < KILLS; kill++) {
    const version = kill % 2 === 0 ? "odd" : "even";
    const at = new Date().toISOString();
    const base = { filter: FILTER, version, selector: {}, steps: [0.5, 1], holdMillis: 200, at, by: "a test" };
    const { id } = await store.create(base);
    const takenBack = random() < 0.3;
    await sleep(random() * 1_200);
    if (takenBack) await store.requestRollback(id, "a test");
    await sleep(random() * 200);
    // Each once at least, then by chance.
    const victim = VICTIMS[kill < VICTIMS.length ? kill : Math.floor(random() * VICTIMS.length)] ?? "Envoy";
    const which = Math.floor(random() * agents.length);
    killed[victim] = (killed[victim] ?? 0) + 1;
    if (victim === "control plane") {
      await serve.kill();
      serve = await startServe(scope, args);
    } else if (victim === "agent") {
      const left = descendants((agents[which] as Running).pid);
      agents[which]?.child.kill("SIGKILL");
      await agents[which]?.exited;
      await allGone(left);
      agents[which] = startAgent(addresses[which] as string, ads);
    } else {
      process.kill(await envoyOf(agents[which] as Running), "SIGKILL");
    }
    const { phase, reason } = await within(
      `rollout ${id}, at whose time the ${victim} was killed, has ended, and all proxies have what it left (kill ${kill})`,
      async () => {
        const { rollouts, proxies } = await view();
        const state = rollouts.find(({ plan }) => plan.id === id)?.state;
        if (!state || state.phase === "rolling") return undefined;
        const due = state.phase === "completed" ? version : standing;
        const all = proxies.every(({ running, assigned }) => running === due && assigned === due);
        return all && proxies.length === agents.length ? { phase: state.phase, reason: state.reason } : undefined;
      },
      told,
    );
    // Only a killed control plane leaves no trace in what the gate sees.
    if (takenBack) expect(phase).toBe("rolled-back");
    else if (victim === "control plane") expect(`${phase} ${reason ?? ""}`, `kill ${kill}`).toBe("completed ");
    ends[phase]++;
    if (phase === "completed") standing = version;
  }
  console.log(`${KILLS} kills, seed ${SEED}: ${JSON.stringify(killed)}; rollouts ended ${JSON.stringify(ends)}`);
  const all = agents.flatMap(({ pid }) => descendants(pid));
  for (const { child, exited } of agents) {
    child.kill("SIGTERM");
    await exited;
  }
  await allGone(all);
});

/** As eventually; in vain, the error has what stands then. */
function within<T>(what: string, probe: () => Promise<T | undefined>, told: () => Promise<string>): Promise<T> {
  return eventually(what, probe, 30_000).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await told()}`);
  });
}

function startAgent(address: string, ads: string): Running {
  const identity = ["--ip", address, "--name", address.replaceAll(".", "-"), "--low-ports", "no"];
  const envoy = ["--admin", "127.0.0.1:0", "--concurrency", "1", "--drain-time", "0s"];
  return runHeadgate(scope, ["proxy", ...identity, "--ads", ads, ...envoy]);
}

/** Its pid; the next one's while it is being started again. */
function envoyOf({ pid }: Running): Promise<number> {
  return eventually("an Envoy runs", () => descendants(pid)[0]);
}

/** Numbers in [0, 1) that a seed decides. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
