// One worker of several that never returns is enough for its Envoy to be replaced: nothing else brings that worker back.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { startEnvoy } from "../../controlplane/agent/envoy-process.js";
import { packagePath } from "../../controlplane/agent/package-root.js";
import type { ChildExit } from "../../controlplane/agent/tied-child.js";
import { staticFilter } from "../filter/traffic-envoy.js";
import { freePort } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { forwardingBootstrap } from "../harness/envoy-bootstrap.js";
import { compileFilter } from "../harness/filter-modules.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const WORKERS = 3;
/** A request with a body is one too many; all others pass. */
const HANGS = `
let turns: u32 = 0;
export function proxy_on_request_headers(_context: u32, _count: u32, end: u32): u32 {
  while (end == 0) turns++;
  return 0;
}`;

test("One stuck worker of several has Envoy's watchdog end the process, and another one serves", async () => {
  const module = join(await scope.directory(), "hangs.wasm");
  await writeFile(module, await compileFilter(HANGS));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const bootstrap = forwardingBootstrap({ host: "127.0.0.1", port }, await startBackend(scope, "behind")) as {
    static_resources: { listeners: { filter_chains: { filters: { typed_config: { http_filters: object[] } }[] }[] }[] };
  };
  const chain = bootstrap.static_resources.listeners[0]?.filter_chains[0];
  chain?.filters[0]?.typed_config.http_filters.unshift(staticFilter({ module }));
  const { watchdogs } = parse(readFileSync(packagePath("envoy", "bootstrap.yaml"), "utf8")) as { watchdogs: object };
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  const ends: ChildExit[] = [];
  const envoy = await startEnvoy({
    bootstrap: { ...bootstrap, watchdogs, admin },
    binary: await testEnvoyBinary(),
    concurrency: WORKERS,
    onCrash: (exit) => ends.push(exit),
  });
  scope.use({ close: () => envoy.stop() });
  await envoy.ready();
  expect((await ask(url)).status).toBe(200);

  await expect(ask(url, { method: "POST", body: "one too many" })).rejects.toThrow();
  await eventually("another Envoy serves", async () => envoy.restarts === 1 && (await envoy.missing()) === undefined);
  expect(ends).toEqual([{ code: null, signal: "SIGABRT" }]);
  expect((await ask(url)).status).toBe(200);
});
