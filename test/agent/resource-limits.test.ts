// How much an Envoy may take, shown by Envoys that are given too little.
import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { createBootstrap, type ProxyIdentity } from "../../controlplane/agent/bootstrap.js";
import { connectionsWithin, openFileWarning, type ResourceLimits } from "../../controlplane/agent/resource-limits.js";
import { readLimits } from "../../controlplane/cli/proxy-limits.js";
import { freePort } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { startTestEnvoy } from "../harness/envoy.js";
import { forwardingBootstrap } from "../harness/envoy-bootstrap.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
const identity: ProxyIdentity = {
  role: "sidecar",
  name: "a",
  namespace: "default",
  addresses: ["127.0.0.1"],
  labels: {},
  interceptionMode: "NONE",
  unprivileged: true,
};

async function limitedEnvoy(limits: ResourceLimits) {
  const { overload_manager } = createBootstrap(identity, { ads: { host: "127.0.0.1", port: 1 }, limits }) as {
    overload_manager: object;
  };
  const port = await freePort();
  const backend = await startBackend(scope, "backend");
  const bootstrap = { ...forwardingBootstrap({ host: "127.0.0.1", port }, backend), overload_manager };
  return { envoy: await startTestEnvoy(scope, bootstrap), port, url: `http://127.0.0.1:${port}/` };
}

const PRESSURE = "overload.envoy.resource_monitors.fixed_heap.pressure";
const REFUSING = "overload.envoy.overload_actions.stop_accepting_requests.active";

test("An Envoy with memory to spare tells how much of it is taken, and serves", async () => {
  const { envoy, url } = await limitedEnvoy({ connections: 10, memoryBytes: 128 * 1024 ** 2 });
  await eventually("the heap is measured", async () => ((await envoy.stat(PRESSURE)) ?? 0) > 0);
  expect(await envoy.stat(REFUSING)).toBe(0);
  expect((await ask(url)).status).toBe(200);
});

test("An Envoy at its memory limit refuses requests with 503, and lives", async () => {
  const { envoy, url } = await limitedEnvoy({ connections: 10, memoryBytes: 1024 ** 2 });
  await eventually("it refuses", async () => (await envoy.stat(REFUSING)) === 1);
  expect((await ask(url)).status).toBe(503);
});

test("A connection above the limit is closed, and there is room again when another ends", async () => {
  const { port, url } = await limitedEnvoy({ connections: 1 });
  const first = connect(port, "127.0.0.1");
  await once(first, "connect");
  await eventually("the first is counted", () =>
    ask(url)
      .then(() => false)
      .catch(() => true),
  );
  first.destroy();
  await eventually("there is room", async () => (await ask(url)).status === 200);
});

test("The flags read sizes as Kubernetes writes them, and tell all that is wrong", async () => {
  expect(await readLimits({ memoryLimit: "512Mi", maxConnections: "7" })).toEqual({
    value: { limits: { memoryBytes: 512 * 1024 ** 2, connections: 7 } },
  });
  const { errors } = (await readLimits({ memoryLimit: "12", maxConnections: "none" })) as { errors: string[] };
  expect(errors).toEqual([
    '--memory-limit is "12": write a size, as in 512Mi, of at least 33554432 bytes',
    '--max-connections is "none": write a whole number of at least 1',
  ]);
});

test("Connections fit the open files by default, and a warning tells where they were asked for and do not", () => {
  expect([connectionsWithin(1024), connectionsWithin(undefined), connectionsWithin(10)]).toEqual([462, 100_000, 1]);
  expect(openFileWarning(462, 1024)).toBeUndefined();
  expect(openFileWarning(463, 1024)).toContain("1026 open files, and the limit is 1024");
});
