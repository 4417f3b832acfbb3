// The acceptance test: every example policy, on real traffic through real Envoys.
import { expect, test } from "vitest";
import { allGone, descendants, runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("Every scenario holds, and no process is left", { timeout: 240_000 }, async () => {
  const demo = runHeadgate(scope, ["demo", "--once"]);
  await eventually("scenarios run", () => demo.stderr().includes("01 "), 60_000);
  const processes = descendants(demo.pid);

  const { code } = await demo.exited;

  expect(`${demo.stdout()}\n${demo.stderr()}`).toContain("All scenarios held");
  for (const number of ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"])
    expect(demo.stdout()).toMatch(new RegExp(`^${number} .*held$`, "m"));
  expect(demo.stdout()).not.toContain("NOT HELD");
  expect(code).toBe(0);
  await allGone(processes);
});
