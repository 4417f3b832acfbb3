// The running demo as a person meets it: a page, policies to edit, words about each edit, and nothing left at the end.
import { readFileSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask } from "../harness/client.js";
import { allGone, descendants, runHeadgate, startDemo } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
async function versionOnPage(page: string, user?: string): Promise<string> {
  const answer = await ask(page, { headers: user ? { cookie: `bookinfo-user=${user}` } : {} });
  return /served by reviews (v\d)/.exec(answer.body)?.[1] ?? `status ${answer.status}`;
}

describe("The running demo", () => {
  test("shows jason another version than everyone else, and follows each edit", { timeout: 120_000 }, async () => {
    const directory = await scope.directory();
    const policy = join(directory, "policies", "reviews.yaml");
    const { demo, page } = await startDemo(scope, directory);
    const processes = descendants(demo.pid);
    expect(processes.length).toBeGreaterThan(16);
    expect(await versionOnPage(page, "jason")).toBe("v2");
    expect(await versionOnPage(page, "mary")).toBe("v3");
    expect(await versionOnPage(page)).toBe("v3");

    const seed = await readFile("examples/policies/01-reviews-by-user.yaml", "utf8");
    await replaceFile(policy, seed.replace("exact: jason", "exact: mary"));
    await eventually("mary gets v2", async () => (await versionOnPage(page, "mary")) === "v2");
    expect(await versionOnPage(page, "jason")).toBe("v3");
    await eventually("the edit is told", () => /VirtualService bookinfo\/reviews modified/.test(demo.stdout()));
    await eventually("who took it over is told", () =>
      /acknowledged within \d+ ms by .*productpage-v1/.test(demo.stdout()),
    );

    await replaceFile(policy, seed.replace("subset: v3", "subzet: v3"));
    await eventually("the fault is told", () => /reviews\.yaml:\d+:\d+: error \[unknown-field\]/.test(demo.stdout()));
    expect(await versionOnPage(page, "mary")).toBe("v2");

    await replaceFile(policy, seed);
    await eventually("jason gets v2 again", async () => (await versionOnPage(page, "jason")) === "v2");
    await eventually("the fault is taken back", () => /mended: /.test(demo.stdout()));

    await rm(policy);
    await eventually("its removal is told", () => /VirtualService bookinfo\/reviews removed/.test(demo.stdout()));

    const second = runHeadgate(scope, ["demo", "--directory", directory]);
    expect(await second.exited).toMatchObject({ code: 69 });
    expect(second.stderr()).toContain(`running there already (pid ${demo.pid})`);

    demo.child.kill("SIGINT");
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    await allGone(processes);
  });

  test.each(["SIGTERM", "SIGHUP", "SIGKILL"] as const)(
    "leaves no process behind on %s",
    { timeout: 90_000 },
    async (signal) => {
      const { demo } = await startDemo(scope, await scope.directory());
      const processes = descendants(demo.pid);
      expect(processes.length).toBeGreaterThan(16);
      demo.child.kill(signal);
      await demo.exited;
      await allGone(processes);
    },
  );

  test("says so when its control plane ends, and ends too", { timeout: 90_000 }, async () => {
    const { demo } = await startDemo(scope, await scope.directory());
    const processes = descendants(demo.pid);
    const serve = processes.find((pid) => /^[^\0]*node\0.*\0serve\0/.test(commandOf(pid)));
    process.kill(serve as number, "SIGKILL");
    expect(await demo.exited).toMatchObject({ code: 69 });
    expect(demo.stderr()).toContain("the control plane ended by itself");
    await allGone(processes);
  });
});

/** At once: a file that is empty for long has lost its objects. */
async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}
