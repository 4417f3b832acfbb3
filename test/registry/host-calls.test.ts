// The list of host calls, held against a real Envoy.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { offersCall } from "../../controlplane/registry/host-calls.js";
import { match, rule, ruledHost, startTrafficEnvoy, staticFilter } from "../filter/traffic-envoy.js";
import { compileFilter } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";

const scope = testScope();

it.each([
  ["wasi_snapshot_preview1", "sched_yield", "(): u32", "()", true],
  ["wasi_snapshot_preview1", "poll_oneoff", "(a: u32, b: u32, c: u32, d: u32): u32", "(0, 0, 0, 0)", true],
])("%s.%s is what Envoy says it is", async (module, name, signature, call, offered) => {
  const path = join(await scope.directory(), "module.wasm");
  const wasm = await compileFilter(`
@external("${module}", "${name}") declare function called${signature};
export function proxy_on_request_headers(c: u32, n: u32, e: u32): u32 { called${call}; return 0; }`);
  await writeFile(path, wasm);
  const hosts = [ruledHost("all", ["*"], [rule("route", match())])];
  const started = await startTrafficEnvoy(scope, hosts, { filters: [staticFilter({ module: path })] }).then(
    () => true,
    () => false,
  );
  expect(started).toBe(offered);
  expect(offersCall("0.2.1", module, name)).toBe(offered);
});

it("leaves out what Envoy refuses to load: proxy_clear_route_cache", () => {
  expect(offersCall("0.2.1", "env", "proxy_clear_route_cache")).toBe(false);
});
