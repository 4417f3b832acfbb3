// A registry's directory has one control plane, and the next one can have it however the first one ended.
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockDirectory } from "../../controlplane/rollout/lock.js";
import { allGone, descendants, runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("A lock is had once, and again when it is released", async () => {
  const directory = join(await scope.directory(), "made", "on the way");
  const first = await lockDirectory(directory);
  expect(first).toBeDefined();
  expect(await lockDirectory(directory)).toBeUndefined();
  first?.release();
  const second = await lockDirectory(directory);
  expect(second).toBeDefined();
  second?.release();
});

test("A second control plane ends with the reason; after kill -9 of the first another one starts", async () => {
  const [config, filters] = [await scope.directory(), await scope.directory()];
  const serve = () =>
    runHeadgate(scope, [
      ...["serve", "--config", config, "--filters", filters],
      ...["--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    ]);
  const first = serve();
  await eventually("the first serves", () => first.stdout().includes("admin"));
  const second = serve();
  expect((await second.exited).code).toBe(69);
  expect(second.stderr()).toContain(`another control plane follows the filters in ${filters}`);

  const processes = descendants(first.pid);
  first.child.kill("SIGKILL");
  const third = serve();
  await eventually("the third serves", () => third.stdout().includes("admin"));
  await allGone(processes);
  third.child.kill("SIGTERM");
  expect((await third.exited).code).toBe(0);
});
