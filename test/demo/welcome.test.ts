// What the demo says to try: each command, as it is printed, does what is said of it.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ask } from "../harness/client.js";
import { startDemo } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
/** Three steps, each with a hold, on a machine that others use too. */
const MOST_MS = 60_000;

test("Every command of the welcome does what it says", { timeout: 180_000 }, async () => {
  const directory = await scope.directory();
  const { demo, page } = await startDemo(scope, directory);
  const commands = [
    ...demo.stdout().matchAll(/^(?: {4}| {2}Control plane +)((?:cp|curl|npx|head) .*?)(?: \(.*\))?$/gm),
  ];
  const half = join(await scope.directory(), "half.wasm");
  // The first proxy that has a version may be one that no request goes through: the test does not hold that for 20 s.
  const next = () => commands.shift()?.[1]?.replaceAll("half.wasm", half).replace("--hold 20s", "--hold 2s") ?? "false";
  const run = async () => (await promisify(execFile)("/bin/sh", ["-c", next()])).stdout;
  const told = (what: RegExp, meanwhile: () => Promise<unknown> = async () => {}) => {
    const isTold = async () => {
      await meanwhile();
      if (what.test(demo.stdout())) return true;
      throw new Error(demo.stdout().split("\n").slice(-20).join("\n"));
    };
    return eventually(`${what} is told`, isTold, MOST_MS);
  };

  expect(commands).toHaveLength(8);
  expect(await run()).toMatch(/productpage-v1/);
  await run();
  await told(/VirtualService bookinfo\/reviews modified/);
  expect(await run()).toMatch(/"reviews"/);
  await run();
  await run();
  await told(/headgate\.traffic@1.*completed/);
  await run();
  await run();
  await told(/headgate\.traffic@2.*rolled back/, () => ask(page));
  await expect(run()).rejects.toThrow(/filter-truncated/);
  expect((await ask(page)).status).toBe(200);
  demo.child.kill("SIGINT");
  expect(await demo.exited).toMatchObject({ code: 0 });
});
