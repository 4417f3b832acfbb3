// What a control plane makes of the time: its proxies' silence, and its own.
import { afterEach, expect, test } from "vitest";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { createDirectoryStorage } from "../../controlplane/rollout/directory-storage.js";
import { Observations } from "../../controlplane/rollout/observations.js";
import { RolloutRunner } from "../../controlplane/rollout/runner.js";
import type { FollowedStorage } from "../../controlplane/rollout/storage.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { createScope, type Scope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const PROXY = { id: "a", labels: {} };
let scope: Scope;
let storage: FollowedStorage;
let observations: Observations;
/** What the clock is ahead by, in milliseconds. */
let ahead: number;
let looks: number;

const now = () => performance.now() + ahead;
const state = async () => (await storage.rollouts.list())[0]?.state;
const tell = () =>
  observations.report(PROXY.id, { values: new Map([["server.uptime", 1]]), histograms: new Map() }, now());

function keepTelling(): void {
  const telling = setInterval(tell, 600);
  scope.use({ close: () => clearInterval(telling) });
}

/** Resolves when the runner has had so many turns more. */
async function turns(count: number): Promise<void> {
  const until = looks + count;
  await eventually("it goes on", () => looks >= until);
}

/** Resolves when the first step has begun. */
async function start(onSaved: () => void = () => {}): Promise<void> {
  [scope, observations, ahead, looks] = [createScope(), new Observations(), 0, 0];
  const directory = await scope.directory();
  const registry = new FilterRegistry(new DirectoryVersions(directory));
  const request = { name: "f", version: "1", by: "a test", wasm: sameFilter("1"), thread: TRIAL_THREAD };
  expect(await registry.push(request)).toHaveProperty("value");
  storage = createDirectoryStorage(directory);
  const { rollouts } = storage;
  const saveState = rollouts.saveState.bind(rollouts);
  rollouts.saveState = async (id, next) => {
    await saveState(id, next);
    onSaved();
  };
  await storage.rollouts.create({
    ...{ filter: "f", version: "1", selector: {}, steps: [1], holdMillis: 3_600_000, at: "", by: "a test" },
  });
  const runner = new RolloutRunner({
    storage,
    observations,
    proxies: () => [PROXY],
    namesOf: () => [],
    acknowledgement: () => {
      looks++;
      return { acknowledged: true };
    },
    now,
    republish: () => {},
    onFault: (error) => {
      throw error;
    },
  });
  scope.use(runner);
  await runner.start();
  tell();
  await eventually("the step has begun", async () => (await state())?.step === 0);
}
afterEach(() => scope.close());

test("A pause of the control plane is not taken for silence of its proxies", async () => {
  await start();
  tell();
  keepTelling();
  ahead += 10_000;
  await turns(12);
  expect(await state()).toMatchObject({ phase: "rolling" });
});

test("Nor is one that comes while the runner saves what it has done", async () => {
  await start(() => {
    ahead += 10_000;
  });
  keepTelling();
  await turns(12);
  expect(await state()).toMatchObject({ phase: "rolling" });
});

test("A proxy that has nothing to tell while its control plane goes on is silent", async () => {
  await start();
  await eventually("it goes back", async () => {
    // A fraction of what counts as a pause, for each time that the runner waits.
    ahead += 20;
    return (await state())?.phase === "rolled-back";
  });
  expect((await state())?.reason).toContain("has told nothing of itself");
});
