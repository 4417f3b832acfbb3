// How an Envoy is kept: ready only with its configuration, back after a crash, drained at the end, never orphaned.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { startEnvoy } from "../../controlplane/agent/envoy-process.js";
import { freePort } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestEnvoy, testEnvoyBinary } from "../harness/envoy.js";
import { forwardingBootstrap } from "../harness/envoy-bootstrap.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

/** True while a process exists, a zombie included: waiting for false also shows that it was reaped. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function forwardingEnvoy(name: string) {
  const backend = await startBackend(scope, name);
  const port = await freePort();
  const envoy = await startTestEnvoy(scope, forwardingBootstrap({ host: "127.0.0.1", port }, backend));
  return { backend, envoy, url: `http://127.0.0.1:${port}/` };
}

test("Envoy is ready once it has accepted its first clusters and listeners, not before", async () => {
  const folder = await scope.directory();
  const listeners = join(folder, "live", "lds.json");
  const clusters = join(folder, "live", "cds.json");
  const source = (path: string) => ({ path_config_source: { path }, initial_fetch_timeout: "0s" });
  const nothing = JSON.stringify({ resources: [] });
  await mkdir(join(folder, "live"));
  await writeFile(clusters, nothing);
  // A listener source that is valid only later: Envoy keeps waiting for its first good version.
  await writeFile(listeners, JSON.stringify({ resources: [{ "@type": "type.googleapis.com/unknown.Type" }] }));
  const envoy = await startTestEnvoy(
    scope,
    {
      node: { id: "n", cluster: "c" },
      dynamic_resources: { lds_config: source(listeners), cds_config: source(clusters) },
    },
    { until: "live" },
  );
  const stop = new AbortController();
  const tooSoon = envoy.process.ready(stop.signal);
  await eventually("the bad listeners are rejected", () => envoy.stat("listener_manager.lds.update_rejected"));
  stop.abort();
  await expect(tooSoon).rejects.toThrow(/not ready/);

  await writeFile(join(folder, "next.json"), nothing);
  await rename(join(folder, "next.json"), listeners);
  await envoy.process.ready();
  expect(await envoy.stat("listener_manager.lds.update_success")).toBe(1);
});

test("After a crash Envoy is started again and serves again", async () => {
  const { envoy, url } = await forwardingEnvoy("crash");
  const first = envoy.process.pid as number;
  process.kill(first, "SIGKILL");
  await eventually("another Envoy runs", () => envoy.process.pid !== undefined && envoy.process.pid !== first);
  await envoy.process.ready();
  expect((await ask(url)).status).toBe(200);
});

test("A request in flight finishes while Envoy drains, and Envoy ends after it", async () => {
  const { backend, envoy, url } = await forwardingEnvoy("drain");
  backend.behave(() => "stall");
  const inFlight = ask(url);
  await eventually("the request is at the backend", () => backend.requests.length === 1);
  let stopped = false;
  const stopping = envoy.process.stop({ drainMs: 30_000 }).then(() => {
    stopped = true;
  });
  await eventually("Envoy drains", async () => (await envoy.get("/ready")).body.includes("DRAINING"));
  expect(stopped).toBe(false);
  // The backend goes away, so Envoy answers the request itself: it was still working on it.
  await backend.close();
  expect((await inFlight).status).toBe(503);
  await stopping;
});

test("Draining ends when its time is up, though a request still stalls", async () => {
  const { backend, envoy, url } = await forwardingEnvoy("stall");
  backend.behave(() => "stall");
  const inFlight = ask(url).catch((error: Error) => error);
  await eventually("the request is at the backend", () => backend.requests.length === 1);
  await envoy.process.stop({ drainMs: 300 });
  expect(await inFlight).toBeInstanceOf(Error);
});

test("An Envoy that does not heed SIGTERM is killed", async () => {
  const { envoy } = await forwardingEnvoy("stuck");
  const pid = envoy.process.pid as number;
  process.kill(pid, "SIGSTOP");
  await envoy.process.stop();
  expect(await envoy.process.exited).toEqual({ code: null, signal: "SIGKILL" });
  expect(exists(pid)).toBe(false);
});

test("An Envoy that was stopped stays stopped, and stopping twice does no harm", async () => {
  const { envoy } = await forwardingEnvoy("twice");
  await Promise.all([envoy.process.stop(), envoy.process.stop()]);
  expect(envoy.process.pid).toBeUndefined();
  expect((await envoy.process.exited).code).toBe(0);
});

test("A binary that is missing or no Envoy fails at once, with its last words", async () => {
  const missing = await startEnvoy({ bootstrap: {}, binary: "/nowhere/envoy" });
  await expect(missing.live()).rejects.toThrow(/\/nowhere\/envoy.*exit code 127/s);
  await expect(missing.ready()).rejects.toThrow(/not found/);
  await missing.stop();
});

test.each(["SIGKILL", "SIGHUP"] as const)("No Envoy outlives an agent that is ended by %s", async (signal) => {
  const backend = await startBackend(scope, "orphan");
  const port = await freePort();
  const file = join(await scope.directory(), "bootstrap.json");
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  await writeFile(file, JSON.stringify({ admin, ...forwardingBootstrap({ host: "127.0.0.1", port }, backend) }));
  const agent = spawn(process.execPath, ["test/agent/fixtures/agent.mjs", await testEnvoyBinary(), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  scope.use({ close: () => agent.kill("SIGKILL") });
  const [line] = (await once(createInterface({ input: agent.stdout }), "line")) as [string];
  const pid = Number(line);
  expect(exists(pid)).toBe(true);

  agent.kill(signal);

  await eventually("Envoy is gone", () => !exists(pid));
  await expect(ask(`http://127.0.0.1:${port}/`)).rejects.toThrow(/ECONNREFUSED/);
});
