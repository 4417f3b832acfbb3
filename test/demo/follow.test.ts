// What is done between the welcome and the first look is told, too.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ControlPlane } from "../../controlplane/cli/demo/control-plane.js";
import { followChanges } from "../../controlplane/cli/demo/follow.js";
import { followRollouts, standingRollouts } from "../../controlplane/cli/demo/follow-rollouts.js";
import { DirectoryRollouts } from "../../controlplane/rollout/directory-rollouts.js";
import { serviceEntry } from "../harness/policies.js";
import { type Scope, testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

/** What is printed until the scope closes. */
function printed(own: Scope, follow: (print: (line: string) => void, signal: AbortSignal) => Promise<void>): string[] {
  const lines: string[] = [];
  const stop = new AbortController();
  const following = follow((line) => void lines.push(line), stop.signal);
  own.use({
    async close() {
      stop.abort();
      await following;
    },
  });
  return lines;
}

test("A change of policies that came before the first look, and none from before it was to begin", async () => {
  const directory = join(await scope.directory(), "policies");
  await mkdir(directory);
  await writeFile(join(directory, "old.yaml"), serviceEntry("old", { v1: { port: 1001 } }));
  const addresses = { ads: "127.0.0.1:0", admin: "127.0.0.1:0" };
  const controlPlane = await ControlPlane.start(["--config", directory], "default", addresses);
  scope.use({ close: () => controlPlane.stop() });
  const after = await controlPlane.lastEvent();
  await writeFile(join(directory, "new.yaml"), serviceEntry("new", { v1: { port: 1001 } }));
  await eventually("it is taken over", async () => (await controlPlane.lastEvent()) > after);
  const lines = printed(scope, (print, signal) => followChanges({ controlPlane, after }, print, signal));
  await eventually("it is told", () => lines.length > 0);
  expect(lines[0]).toContain("ServiceEntry default/new added");
  expect(lines.join()).not.toContain("default/old");
});

test("A rollout that was asked for before the first look, and none from before it was to begin", async () => {
  const directory = await scope.directory();
  const rollouts = new DirectoryRollouts(directory);
  const plan = { filter: "f", selector: {}, steps: [1], holdMillis: 0, at: "", by: "a test" };
  await rollouts.create({ ...plan, version: "old" });
  const before = await standingRollouts(directory);
  await rollouts.create({ ...plan, version: "new" });
  const lines = printed(scope, (print, signal) => followRollouts({ directory, before }, print, signal));
  await eventually("it is told", () => lines.length > 0);
  expect(lines[0]).toContain("f@new");
  expect(lines.join()).not.toContain("f@old");
});
