// The filter registry: what it refuses and with which code; and in a directory, what it keeps.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../controlplane/registry/check.js";
import { DirectoryVersions } from "../../controlplane/registry/directory-versions.js";
import { FilterRegistry, type PushRequest, parseReference } from "../../controlplane/registry/registry.js";
import { withCustomSection } from "../../controlplane/registry/wasm-sections.js";
import { compileFilter, TRIAL_THREAD, trafficModule } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { testVersionStore } from "./store-suite.js";

const scope = testScope();
let registry: FilterRegistry;

beforeEach(async () => {
  registry = new FilterRegistry(new DirectoryVersions(await scope.directory()));
});

testVersionStore("a directory", async () => {
  const directory = await scope.directory();
  const modules = join(directory, "modules");
  return {
    versions: new DirectoryVersions(directory),
    damage: (name, version, what) =>
      writeFile(join(modules, name, version, what === "module" ? "module.wasm" : "version.json"), "changed"),
    async leaveUnfinished() {
      const left = join(modules, "traffic", ".unfinished-abc");
      await mkdir(left, { recursive: true });
      await writeFile(join(left, "module.wasm"), "half");
    },
    count: async () => {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).length;
    },
  };
});

function push(wasm: Uint8Array, more: Partial<PushRequest> = {}) {
  return registry.push({ name: "traffic", version: "1", by: "a test", thread: TRIAL_THREAD, wasm, ...more });
}

async function codeOf(wasm: Uint8Array, more: Partial<PushRequest> = {}): Promise<string> {
  const pushed = await push(wasm, more);
  expect(await registry.list()).toHaveLength("value" in pushed ? 1 : 0);
  return "fault" in pushed ? pushed.fault.code : "taken";
}

const SCHEMA = '{"type":"object","properties":{"limit":{"type":"integer"}},"required":["limit"]}';

describe("the registry", () => {
  it("reads the schema from the module or from beside it, and holds the configuration against it", async () => {
    const declared = withCustomSection(trafficModule(), "headgate.configuration-schema", Buffer.from(SCHEMA));
    expect(await codeOf(declared, { configuration: "{}" })).toBe("filter-bad-configuration");
    expect(await codeOf(trafficModule(), { schema: SCHEMA, configuration: "no" })).toBe("filter-bad-configuration");
    const long = JSON.stringify({ type: "object", description: "x".repeat(262_144) });
    expect(await codeOf(trafficModule(), { schema: long })).toBe("filter-bad-schema");
    expect(await push(declared, { configuration: '{"limit": 3}' })).toMatchObject({
      value: { configurationSchema: JSON.parse(SCHEMA) },
    });
  });

  it.each([
    ["../x@1", "filter-bad-name"],
    ["x@../1", "filter-bad-name"],
    ["x", "filter-bad-name"],
    ["X@1", "filter-bad-name"],
  ])("refuses the reference %s", (text, code) => {
    expect(parseReference(text)).toMatchObject({ fault: { code } });
  });
});

describe("a push is refused", () => {
  it("for garbage", async () => {
    expect(await codeOf(Buffer.from("not wasm at all"))).toBe("filter-not-wasm");
    expect(await codeOf(new Uint8Array())).toBe("filter-not-wasm");
  });

  it("for a truncated module, wherever it ends", async () => {
    const whole = trafficModule();
    for (const share of [0.1, 0.5, 0.9, 0.999]) {
      expect(await codeOf(whole.subarray(0, Math.floor(whole.length * share)))).toMatch(/truncated|does-not-compile/);
    }
  });

  it("for a module that is damaged within", async () => {
    const damaged = trafficModule();
    damaged.fill(0xff, damaged.length >> 1, (damaged.length >> 1) + 16);
    expect(await codeOf(damaged)).toBe("filter-does-not-compile");
  });

  it("for a module that is no proxy-wasm filter", async () => {
    expect(await codeOf(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))).toBe("filter-unknown-abi");
  });

  it("for an import that Envoy does not offer", async () => {
    const wasm = await compileFilter(`
@external("env", "proxy_clear_route_cache") declare function clear(): void;
export function proxy_on_request_headers(c: u32, n: u32, e: u32): u32 { clear(); return 0; }`);
    expect(await push(wasm)).toMatchObject({
      fault: { code: "filter-unknown-import", message: expect.stringContaining("env.proxy_clear_route_cache") },
    });
  });

  it("for its size", async () => {
    const limits = { ...DEFAULT_LIMITS, moduleBytes: 1_000 };
    expect(await codeOf(trafficModule(), { limits })).toBe("filter-too-large");
  });

  it("for too much memory, at the start or when asked", async () => {
    expect(await codeOf(trafficModule(), { limits: { ...DEFAULT_LIMITS, memoryBytes: 65_536 } })).toBe(
      "filter-memory-limit",
    );
    const greedy = await compileFilter(`
export function proxy_on_request_headers(c: u32, n: u32, e: u32): u32 {
  while (memory.grow(16) >= 0) {}
  unreachable();
  return 0;
}`);
    expect(await codeOf(greedy)).toBe("filter-memory-limit");
  });

  it("when it never returns from a request", async () => {
    const endless = await compileFilter(`
export function proxy_on_request_headers(c: u32, n: u32, e: u32): u32 { let i = 0; while (true) i++; return i; }`);
    expect(await codeOf(endless, { limits: { ...DEFAULT_LIMITS, trialMillis: 1_000 } })).toBe("filter-does-not-end");
  });

  it("when its first request traps", async () => {
    const trapping = await compileFilter(
      "export function proxy_on_request_headers(c: u32, n: u32, e: u32): u32 { unreachable(); return 0; }",
    );
    expect(await codeOf(trapping)).toBe("filter-traps");
  });

  it("when it does not start", async () => {
    const strict = await compileFilter("export function _initialize(): void { unreachable(); }");
    expect(await codeOf(strict)).toBe("filter-does-not-start");
  });
});
