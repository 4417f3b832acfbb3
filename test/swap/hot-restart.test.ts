// One Envoy takes over from another while its proxy is in a rollout: that is no restart, and no silence, to the gate.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { FilterView } from "../../controlplane/rollout/view.js";
import { loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { sameFilter } from "../harness/filter-modules.js";
import { runHeadgate } from "../harness/headgate.js";
import { startLoad } from "../harness/load.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { backendOf, HOST, RULES } from "./workload.js";

const scope = testScope();

it("A hot restart within a rollout costs no request and does not take the version back", async () => {
  const directory = await scope.directory();
  const path = (name: string) => join(directory, name);
  await mkdir(path("policies"));
  const [v1, v2] = [await startBackend(scope, "v1"), await startBackend(scope, "v2")];
  await writeFile(path("policies/service.yaml"), httpService("reviews", { v1, v2 }));
  await writeFile(path("policies/rules.yaml"), RULES);
  await writeFile(path("same.wasm"), sameFilter("same"));
  await writeFile(path("labels"), "app=a\n");
  const filters = ["--filters", path("filters")];
  const serve = await startServe(scope, [
    ...["--config", path("policies"), ...filters],
    ...["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
  ]);
  const own = await loopbackAddress(scope);
  const agent = runHeadgate(scope, [
    ...["proxy", "--ip", own, "--name", "a", "--ads", serve.ads, "--admin", "127.0.0.1:0", "--low-ports", "no"],
    ...["--concurrency", "1", "--labels-file", path("labels"), "--envoy", await testEnvoyBinary()],
  ]);
  const view = async () => (await (await fetch(`http://${serve.admin}/filters`)).json()) as FilterView;
  const command = async (...words: string[]) =>
    expect(await runHeadgate(scope, ["filter", ...words, ...filters]).exited).toMatchObject({ code: 0 });

  await eventually("the proxy is ready", () => agent.stderr().includes("ready; "), 30_000);
  const load = startLoad({ url: `http://${own}:9080/`, headers: { host: HOST }, concurrency: 2, name: backendOf });
  await command("push", "headgate.traffic", path("same.wasm"), "--version", "same");
  // Longer than another Envoy takes to start on a busy machine.
  await command("use", "headgate.traffic@same", "--step", "100%", "--hold", "12s");
  await eventually("it is rolled out", async () => (await view()).proxies[0]?.running === "same");
  await writeFile(path("labels"), "app=b\n");
  await eventually("another Envoy has taken over", () => agent.stderr().includes("has taken over"), 30_000);
  expect((await view()).rollouts.at(-1)?.state?.phase).toBe("rolling");
  const state = await eventually("the rollout ends", async () => {
    const { state: now } = (await view()).rollouts.at(-1) ?? {};
    return now?.phase !== "rolling" && now;
  });
  expect(`${state.phase} ${state.reason ?? ""}`).toBe("completed ");
  const { outcomes, broken, requests } = await load.stop();
  expect(broken).toEqual([]);
  expect(outcomes).toEqual({ v1: requests });
});
