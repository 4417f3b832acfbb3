// The modules of a mesh's extensions, as they come, change, fail and go.
import { once } from "node:events";
import { rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { WasmExtension } from "../../controlplane/mesh/extensions.js";
import { ExtensionModules, type ExtensionModulesOptions } from "../../controlplane/modules/extension-modules.js";
import type { Proxy } from "../../controlplane/proxy/proxy.js";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry } from "../../controlplane/registry/registry.js";
import type { VersionStore } from "../../controlplane/registry/version-store.js";
import { decodeObject } from "../../controlplane/resources/decode.js";
import { sameFilter, TRIAL_THREAD } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const PROXY = {} as Proxy;

function plugin(name: string, url: string, spec: object = {}): WasmExtension {
  const value = {
    apiVersion: "extensions.istio.io/v1alpha1",
    kind: "WasmPlugin",
    metadata: { name },
    spec: { url, ...spec },
  };
  const { resource, violations } = decodeObject({ value, locate: () => undefined }, "default");
  if (!resource) throw new Error(JSON.stringify(violations));
  return resource as WasmExtension;
}

function start(options: Partial<ExtensionModulesOptions> = {}) {
  const outcomes: string[] = [];
  const modules = scope.use(
    new ExtensionModules({
      onChange: () => {},
      onOutcome: ({ meta }, fault) => outcomes.push(`${meta.name} ${fault?.code ?? "ready"}`),
      onFault: (error) => outcomes.push(String(error)),
      thread: TRIAL_THREAD,
      ...options,
    }),
  );
  const update = (...extensions: WasmExtension[]) => modules.update({ extensions, secrets: new Map() });
  return { modules, outcomes, update };
}

test("A module that could not be had is tried again", async () => {
  let fails = true;
  const server = createServer((_, response) => {
    response.statusCode = fails ? 500 : 200;
    response.end(fails ? "" : sameFilter("late"));
  }).listen(0, "127.0.0.1");
  scope.use({ close: () => server.close() });
  await once(server, "listening");
  const { modules, outcomes, update } = start();
  const extension = plugin("p", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await update(extension);
  await eventually("it is told of", () => modules.violations[0]?.code === "unknown-module");
  expect(modules.violations[0]?.message).toMatch(/failStrategy says/);
  fails = false;
  await eventually("it is there", () => modules.moduleFor(extension, PROXY));
  expect(modules.violations).toEqual([]);
  expect(outcomes).toEqual(["p unknown-module", "p ready"]);
});

test("A version of the registry is had at once, and a registry that cannot be read is tried again", async () => {
  const directory = await scope.directory();
  const versions = new DirectoryVersions(directory);
  const registry = new FilterRegistry(versions);
  const request = { name: "f", version: "1", by: "a test", wasm: sameFilter("f"), thread: TRIAL_THREAD };
  expect(await registry.push(request)).toHaveProperty("value");
  const extension = plugin("p", "headgate://f@1");
  const { modules, update } = start({ registry });
  await update(extension);
  expect(modules.moduleFor(extension, PROXY)?.wasm).toEqual(sameFilter("f"));

  let isAway = true;
  const find = (name: string, version: string) =>
    isAway ? Promise.reject(new Error("it is away")) : versions.find(name, version);
  const far = start({ registry: new FilterRegistry({ ...storeOf(versions), find }) });
  await far.update(extension);
  expect(far.modules.violations[0]?.message).toContain("The registry cannot be read: it is away");
  isAway = false;
  await eventually("it is there", () => far.modules.moduleFor(extension, PROXY));
  expect(far.outcomes).toEqual(["p unknown-module", "p ready"]);
});

/** Its methods without the object, so that one of them can be another. */
function storeOf(versions: VersionStore): VersionStore {
  return {
    add: (record, wasm) => versions.add(record, wasm),
    list: () => versions.list(),
    find: (name, version) => versions.find(name, version),
    read: (name, version) => versions.read(name, version),
    remove: (name, version) => versions.remove(name, version),
    sweep: (olderThan) => versions.sweep(olderThan),
  };
}

/** At once: half of a module would be refused, too. */
async function replaceFile(path: string, content: string | Buffer): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

test("A file is followed: a new build is taken, a broken one is not, and extensions share its bytes", async () => {
  const path = join(await scope.directory(), "a.wasm");
  await writeFile(path, sameFilter("one"));
  const { modules, outcomes, update } = start();
  const [a, b] = [plugin("a", `file://${path}`), plugin("b", `file://${path}`)];
  await update(a, b);
  const bytes = (extension: WasmExtension) => modules.moduleFor(extension, PROXY)?.wasm;
  await eventually("both have it", () => bytes(a) && bytes(b));
  expect(bytes(a)).toBe(bytes(b));
  await replaceFile(path, "broken");
  await eventually("both refuse it", () => modules.violations.length === 2);
  expect(modules.violations[0]).toMatchObject({ code: "refused-module", message: expect.stringMatching(/serves on/) });
  expect(bytes(a)).toEqual(sameFilter("one"));
  await replaceFile(path, sameFilter("two"));
  await eventually(
    "both have the next",
    () => sameFilter("two").equals(bytes(a) ?? Buffer.alloc(0)) && bytes(a) === bytes(b),
  );
  expect(modules.violations).toEqual([]);
  await update(b);
  expect(bytes(a)).toBeUndefined();
  expect(outcomes.filter((line) => line.endsWith("refused-module"))).toHaveLength(2);
});

test("A changed extension keeps its last module, with the configuration that it had, until the new one is there", async () => {
  const path = join(await scope.directory(), "a.wasm");
  await writeFile(path, sameFilter("kept"));
  const { modules, update } = start();
  const before = plugin("p", `file://${path}`, { pluginConfig: { a: 1 } });
  await update(before);
  await eventually("it is there", () => modules.moduleFor(before, PROXY));
  const after = plugin("p", "file:///nowhere.wasm", { pluginConfig: { a: 2 } });
  await update(after);
  await eventually("the new one is missed", () => modules.violations.length === 1);
  expect(modules.moduleFor(after, PROXY)?.extension).toBe(before);
});

test("A chosen version is each proxy's own, and a configuration that none of them takes is told of until one does", async () => {
  const versions = [sameFilter("1")];
  const [one, other] = [{ id: "one" } as Proxy, { id: "other" } as Proxy];
  const chosen = {
    modulesOf: () => versions,
    moduleFor: (_: string, proxy: Proxy) => (proxy === one ? versions[0] : undefined),
  };
  const { modules, update } = start({ chosen });
  const extension = plugin("p", "headgate://hello");
  await update(extension);
  expect(modules.moduleFor(extension, one)?.wasm).toBe(versions[0]);
  expect(modules.moduleFor(extension, other)).toBeUndefined();
  versions[0] = Buffer.from("broken");
  const changed = plugin("p", "headgate://hello", { pluginConfig: { a: 1 } });
  await update(changed);
  expect(modules.violations[0]?.code).toBe("refused-module");
  versions[0] = sameFilter("2");
  await eventually("another version takes it", () => modules.violations.length === 0);
  expect(modules.moduleFor(changed, one)).toEqual({ extension: changed, wasm: versions[0] });
});
