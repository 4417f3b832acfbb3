// Versions that policies name by headgate://FILTER@VERSION stay: the control plane says which, and the commands heed it.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { CommandDefinition } from "../../controlplane/cli/command.js";
import { filterRemoveCommand } from "../../controlplane/cli/filter-versions.js";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { DirectoryPins } from "../../controlplane/registry/pins.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { runHeadgate } from "../harness/headgate.js";
import { startTestMesh } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

const plugin = (version: string) => `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: p, namespace: shop}
spec: {url: "headgate://a@${version}"}
`;

it("A version that a policy names is neither removed nor cleaned up, until the policy names another", async () => {
  const filters = await scope.directory();
  const registry = new FilterRegistry(new DirectoryVersions(filters));
  for (const version of ["1", "2", "3"]) {
    const request = { name: "a", version, by: "a test", wasm: sameFilter(version), thread: TRIAL_THREAD };
    expect(await registry.push(request)).toMatchObject({ value: { version } });
  }
  const mesh = await startTestMesh(scope, { filters });
  const pins = new DirectoryPins(filters);
  await mesh.apply("plugin.yaml", plugin("1"));
  await eventually("the pin is written", async () => (await pins.read()).length === 1);
  expect(await pins.read()).toEqual([{ filter: "a", version: "1", by: "WasmPlugin shop/p" }]);
  expect(await run(filterRemoveCommand, filters, "a@1")).toMatch(/^65 .*filter-in-use: WasmPlugin shop\/p names a@1/);
  expect(await run(filterRemoveCommand, filters, "a@2")).toMatch(/^0 /);

  const file = join(await scope.directory(), "a.wasm");
  await writeFile(file, sameFilter("4"));
  const pushing = ["filter", "push", "a", file, "--version", "4", "--keep", "1", "--filters", filters];
  const pushed = runHeadgate(scope, pushing);
  expect(await pushed.exited).toMatchObject({ code: 0 });
  expect(pushed.stdout()).toMatch(/a@4 added.*\na@3 removed\n$/);
  expect((await registry.list()).map(({ version }) => version)).toEqual(["1", "4"]);

  await mesh.apply("plugin.yaml", plugin("4"));
  await eventually("the pin is another", async () => (await pins.read())[0]?.version === "4");
  expect(await run(filterRemoveCommand, filters, "a@1")).toMatch(/^0 /);
});

/** The exit code and all that was printed. */
async function run(command: CommandDefinition, filters: string, reference: string) {
  let printed = "";
  const stream = { write: (text: string) => (printed += text) };
  const io = { stdout: stream, stderr: stream, env: {}, cwd: "/", signal: new AbortController().signal };
  return `${await command.run([reference], { filters }, io)} ${printed}`;
}
