// What a proxy's agent tells others of it: ready only when all is there, with the reason why not, and its figures.
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { probeWorkload } from "../../controlplane/agent/workload-probe.js";
import { freePort, loopbackAddress } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { createAuthority } from "../harness/certificates.js";
import { ask } from "../harness/client.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { allGone, descendants, runHeadgate } from "../harness/headgate.js";
import { httpService } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

test("A proxy is ready with its configuration and its workload, not while it drains, and a second SIGTERM ends it", async () => {
  const directory = await scope.directory();
  const backend = await startBackend(scope, "plain");
  await writeFile(join(directory, "world.yaml"), httpService("plain", { v1: backend }));
  const [ads, status, workloadPort, own] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await loopbackAddress(scope),
  ];
  const proxy = runHeadgate(scope, [
    ...["proxy", "--ip", own, "--name", "client", "--ads", `127.0.0.1:${ads}`, "--admin", "127.0.0.1:0"],
    ...["--status", `127.0.0.1:${status}`, "--probe", `http://127.0.0.1:${workloadPort}/health`],
    ...["--probe-period", "50ms", "--probe-failures", "2", "--concurrency", "1", "--drain-time", "60s"],
    ...["--envoy", await testEnvoyBinary()],
  ]);
  const asked = (path: string) => ask(`http://127.0.0.1:${status}${path}`);
  const readiness = async () => (await asked("/healthz/ready")).body.trim();
  const becomes = (expected: string) =>
    eventually(`readiness is "${expected}"`, async () => (await readiness()).includes(expected), 30_000);

  await becomes("Envoy is PRE_INITIALIZING");
  expect(await asked("/healthz/live")).toMatchObject({ status: 200 });
  expect(await asked("/healthz/ready")).toMatchObject({ status: 503 });

  await startServe(scope, ["--config", directory, "--ads", `127.0.0.1:${ads}`, "--admin", "127.0.0.1:0"]);
  await becomes("/health: connect ECONNREFUSED");
  const workload = await startBackend(scope, "workload", { port: workloadPort });
  await becomes("ready");
  expect((await asked("/metrics")).body).toMatch(/^headgate_agent_ready 1$[\s\S]*^envoy_server_live\{\} 1$/m);

  workload.behave(() => ({ status: 500 }));
  await becomes("/health: it answers 500");
  workload.behave(() => "stall");
  await becomes("/health: no answer within 1000 ms");
  workload.behave(() => ({ status: 204 }));
  await becomes("ready");

  const pid = Number(/started Envoy \(pid (\d+)\)/.exec(proxy.stderr())?.[1]);
  process.kill(pid, "SIGKILL");
  await eventually("the restart is counted", async () =>
    /^headgate_agent_envoy_restarts 1$/m.test((await asked("/metrics")).body),
  );
  await becomes("ready");

  backend.behave(() => "stall");
  const inFlight = ask(`http://${own}:9080/`, { headers: { host: "plain" } }).catch((error: Error) => error);
  await eventually("a request is in flight", () => backend.requests.length === 1);
  const processes = descendants(proxy.pid);
  proxy.child.kill("SIGTERM");
  await becomes("it drains");
  proxy.child.kill("SIGTERM");
  expect(await proxy.exited).toEqual({ code: 0, signal: null });
  expect(await inFlight).toBeInstanceOf(Error);
  await allGone(processes);
});

test("A workload that takes connections and speaks no HTTP is probed by connecting", async () => {
  const port = await freePort();
  const target = new URL(`tcp://127.0.0.1:${port}`);
  const probe = probeWorkload({ target, periodMs: 20, timeoutMs: 1_000, failures: 1 });
  scope.use(probe);
  await eventually("nobody is there", () => probe.failure?.includes("ECONNREFUSED"));
  const server = createServer((socket) => socket.destroy());
  server.listen(port, "127.0.0.1");
  scope.use({ close: () => server.close() });
  await eventually("somebody is", () => probe.failure === undefined);
});

test("When the proxy's certificate expires is told", async () => {
  const directory = await scope.directory();
  const { certificate, privateKey } = await (await createAuthority("mesh")).issue(["client"]);
  for (const [name, text] of [
    ["chain.pem", certificate],
    ["key.pem", privateKey],
  ] as const)
    await writeFile(join(directory, name), text);
  const status = await freePort();
  runHeadgate(scope, [
    ...["proxy", "--ip", "127.0.0.1", "--admin", "127.0.0.1:0", "--status", `127.0.0.1:${status}`],
    ...["--ads-ca", join(directory, "chain.pem"), "--ads-cert", join(directory, "chain.pem")],
    ...["--ads-key", join(directory, "key.pem"), "--envoy", await testEnvoyBinary()],
  ]);
  const expiry = await eventually("metrics are there", async () =>
    /^headgate_agent_certificate_expiry_timestamp_seconds (\d+)$/m.exec(
      (await ask(`http://127.0.0.1:${status}/metrics`)).body,
    ),
  );
  expect(Number(expiry[1])).toBeGreaterThan(Date.now() / 1000);
});

test("Faulty flags of the probe are told at once", async () => {
  const faulty = ["--probe", "ftp://x", "--probe-period", "long", "--probe-failures", "0", "--status", "here"];
  const run = runHeadgate(scope, ["proxy", "--ip", "127.0.0.1", ...faulty]);
  expect(await run.exited).toMatchObject({ code: 64 });
  for (const flag of ["--probe is", "--probe-period", "--probe-failures", "--status"])
    expect(run.stderr()).toContain(flag);
});
