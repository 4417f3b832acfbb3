// Scenario 11: the traffic filter is swapped while it decides, and bad versions of it do no harm.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { packagePath } from "../../../agent/package-root.js";
import { DirectoryVersions } from "../../../registry/directory-versions.js";
import { FilterRegistry } from "../../../registry/registry.js";
import { withCustomSection } from "../../../registry/wasm-sections.js";
import { DirectoryRollouts } from "../../../rollout/directory-rollouts.js";
import type { Rollout } from "../../../rollout/plan.js";
import { ask, connections, Tally } from "../traffic.js";
import { type Observation, type Scenario, type Stage, through } from "./scenario.js";

const FILTER = "headgate.traffic";
const AT_ONCE = 8;
const POLL_MS = 50;
const TIMEOUT_MS = 30_000;

export const filterVersions: Scenario = {
  title: "11 filter versions",
  async run(stage) {
    await stage.apply("subsets.yaml", "01-reviews-by-user.yaml");
    return [await swapUnderLoad(stage), await refuseHalfAFile(stage), ...(await takeBackTrapping(stage))];
  },
};

async function swapUnderLoad(stage: Stage): Promise<Observation> {
  // The same filter in other bytes: for Envoy it is another.
  await push(stage, "good", withCustomSection(await built("traffic.wasm"), "headgate.demo", Buffer.from("good")));
  const load = startLoad(stage);
  const { state } = await rollOut(stage, "good", 0).finally(load.stop);
  const seen = await load.stop();
  const held = state?.phase === "completed" && seen.isOnly("v2");
  const expected = "swapped under load: jason: v2";
  return { expected, observed: `${state?.phase}: ${seen}`, requests: seen.total, held };
}

async function refuseHalfAFile(stage: Stage): Promise<Observation> {
  const whole = await built("traffic.wasm");
  const fault = await push(stage, "half", whole.subarray(0, whole.length / 2)).then(
    () => "taken in",
    (error: Error) => `refused: ${error.message}`,
  );
  return { expected: "half a file: refused", observed: fault, requests: 0, held: fault.startsWith("refused") };
}

async function takeBackTrapping(stage: Stage): Promise<readonly Observation[]> {
  await push(stage, "trapping", await built("trapping.wasm"));
  const load = startLoad(stage);
  const { state } = await rollOut(stage, "trapping", 20_000).finally(load.stop);
  const after = new Tally();
  const agent = connections(1);
  for (let i = 0; i < 50; i++) after.add(await reviewFor(stage, agent));
  agent.destroy();
  const rolledBack = state?.phase === "rolled-back" && /VM failed/.test(state.reason ?? "");
  return [
    { expected: "one that traps: taken back", observed: state?.reason ?? "nothing", requests: 0, held: rolledBack },
    { expected: "after it: jason: v2", observed: `${after}`, requests: after.total, held: after.isOnly("v2") },
  ];
}

function built(name: string): Promise<Buffer> {
  return readFile(packagePath("build", name));
}

async function push({ mesh }: Stage, version: string, wasm: Uint8Array): Promise<void> {
  const pushed = await new FilterRegistry(new DirectoryVersions(mesh.filters)).push({
    name: FILTER,
    version,
    wasm,
    by: "the demo",
  });
  if ("fault" in pushed) throw new Error(pushed.fault.message);
}

/** Resolves when the rollout, which goes to all proxies in one step, has ended, and every proxy has what it left them. */
async function rollOut({ mesh }: Stage, version: string, holdMillis: number): Promise<Rollout> {
  const at = new Date().toISOString();
  const { id } = await new DirectoryRollouts(mesh.filters).create({
    filter: FILTER,
    version,
    selector: {},
    steps: [1],
    holdMillis,
    at,
    by: "the demo",
  });
  for (const deadline = Date.now() + TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const { rollouts, proxies } = await mesh.controlPlane.filters();
    const found = rollouts.find(({ plan }) => plan.id === id);
    const ended = found?.state && found.state.phase !== "rolling";
    if (ended && proxies.every(({ assigned, running }) => running === assigned)) return found;
  }
  throw new Error(`the rollout of ${version} has not ended within ${TIMEOUT_MS} ms`);
}

/** Jason's requests, so many at once, until it is stopped. */
function startLoad(stage: Stage): { stop(): Promise<Tally> } {
  const agent = connections(AT_ONCE);
  const seen = new Tally();
  let stopped = false;
  const run = async () => {
    while (!stopped) seen.add(await reviewFor(stage, agent));
  };
  const running = Promise.all(Array.from({ length: AT_ONCE }, run));
  return {
    async stop() {
      stopped = true;
      await running;
      agent.destroy();
      return seen;
    },
  };
}

async function reviewFor({ mesh }: Stage, agent: ReturnType<typeof connections>): Promise<string> {
  const question = through(mesh, "productpage-v1", "reviews", "/reviews/0");
  try {
    const { status, headers } = await ask({ ...question, headers: { "end-user": "jason" } }, agent);
    return status === 200 ? String(headers["x-version"]) : `status ${status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
