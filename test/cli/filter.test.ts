// The `headgate filter` commands: a push as it is run, the others by what they do with their words.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { CommandDefinition, OptionValues } from "../../controlplane/cli/command.js";
import {
  filterHistoryCommand,
  filterRollbackCommand,
  filterUseCommand,
} from "../../controlplane/cli/filter-rollouts.js";
import { filterDiffCommand, filterListCommand, filterRemoveCommand } from "../../controlplane/cli/filter-versions.js";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

/** The exit code and all that was printed. */
async function run(command: CommandDefinition, filters: string, args: string[], options: OptionValues = {}) {
  let printed = "";
  const stream = { write: (text: string) => (printed += text) };
  const signal = new AbortController().signal;
  const io = { stdout: stream, stderr: stream, env: { USER: "a-user" }, cwd: "/", signal };
  const code = await command.run(args, { filters, output: "table", hold: "30s", ...options }, io);
  return `${code} ${printed}`;
}

it("A push adds a version, or says why not", { timeout: 120_000 }, async () => {
  const directory = await scope.directory();
  const filters = join(directory, "filters");
  await writeFile(join(directory, "good.wasm"), sameFilter("good"));
  await writeFile(join(directory, "bad.wasm"), "garbage");
  const push = async (file: string) => {
    const words = ["filter", "push", "headgate.traffic", join(directory, file), "--version", "1", "--filters", filters];
    const running = runHeadgate(scope, words);
    const { code } = await running.exited;
    return `${code} ${running.stdout()}${running.stderr()}`;
  };
  expect(await push("bad.wasm")).toMatch(/^65 .*filter-not-wasm/);
  expect(await push("good.wasm")).toMatch(/^0 headgate.traffic@1 added: \d+ bytes/);
});

it("A cluster is named in place of a directory, and one that cannot be reached is told", async () => {
  const list = (options: OptionValues) =>
    run(filterListCommand, "", [], { filters: undefined, kube: true, ...options });
  expect(await list({ filters: "somewhere" })).toMatch(/^64 .*--filters or --kube, not both/);
  expect(await list({ kubeconfig: "/nowhere" })).toMatch(/^64 .*The kubeconfig \/nowhere/);
  const kubeconfig = join(await scope.directory(), "kubeconfig");
  const cluster = { name: "a", cluster: { server: "https://127.0.0.1:1" } };
  const context = { name: "a", context: { cluster: "a", user: "a" } };
  const config = { clusters: [cluster], users: [{ name: "a", user: {} }], contexts: [context], "current-context": "a" };
  await writeFile(kubeconfig, JSON.stringify(config));
  expect(await list({ kubeconfig })).toMatch(/^69 .*ECONNREFUSED/);
});

it("Versions are compared, used, taken back and removed", async () => {
  const filters = await scope.directory();
  for (const version of ["1", "2"]) {
    const request = {
      name: "headgate.traffic",
      version,
      by: "a test",
      wasm: sameFilter(version),
      thread: TRIAL_THREAD,
    };
    expect(await new FilterRegistry(new DirectoryVersions(filters)).push(request)).toMatchObject({
      value: { version },
    });
  }
  const use = (reference: string, options: OptionValues = {}) => run(filterUseCommand, filters, [reference], options);
  const remove = () => run(filterRemoveCommand, filters, ["headgate.traffic@1"]);
  expect(await run(filterListCommand, filters, [])).toMatch(/headgate.traffic +1 .*\nheadgate.traffic +2 /);
  expect(await run(filterDiffCommand, filters, ["headgate.traffic@1", "headgate.traffic@2"])).toMatch(/^0 .*sha256/s);
  expect(await use("headgate.traffic@9")).toMatch(/^65 .*filter-not-found/);
  expect(await use("other@1")).toMatch(/^65 .*filter-not-found/);
  expect(await use("headgate.traffic@1", { step: "50%,20%" })).toMatch(/^64 .*percentages that grow/);
  expect(await use("headgate.traffic@1", { canary: "5%", hold: "1s" })).toMatch(/^0 .*5%, 100%, each for 1 s/);
  expect(await use("headgate.traffic@2")).toMatch(/^65 .*filter-in-use/);
  expect(await remove()).toMatch(/^65 .*filter-in-use/);
  expect(await run(filterRollbackCommand, filters, [], { by: "somebody" })).toMatch(/^0 rollout 000001/);
  expect(await run(filterHistoryCommand, filters, [])).toMatch(/a-user +to be rolled back, asked for by somebody/);
  expect(await remove()).toMatch(/^0 /);
});
