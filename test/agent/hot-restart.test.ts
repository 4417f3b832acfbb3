// One Envoy takes over from another: no request fails, what cannot take over changes nothing, and whatever dies meanwhile,
// an Envoy serves in the end and nothing is left over.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { askAdmin } from "../../controlplane/agent/envoy-admin.js";
import { type EnvoyOptions, type EnvoyProcess, startEnvoy } from "../../controlplane/agent/envoy-process.js";
import { freePort } from "../harness/addresses.js";
import { startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { testEnvoyBinary } from "../harness/envoy.js";
import { forwardingBootstrap } from "../harness/envoy-bootstrap.js";
import { descendants, isAlive } from "../harness/headgate.js";
import { startLoad } from "../harness/load.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();

interface Subject {
  readonly envoy: EnvoyProcess;
  readonly url: string;
  /** The same launch, for a node of another name. */
  named(id: string, more?: object): EnvoyOptions;
  /** What the node of the Envoy in service is called. */
  node(): Promise<string>;
}

async function startSubject(
  options: Partial<EnvoyOptions> = {},
  host = "127.0.0.1",
  backendPort = 0,
): Promise<Subject> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const backend = backendPort === 0 ? await startBackend(scope, "behind") : { host, port: backendPort };
  const binary = await testEnvoyBinary();
  const named = (id: string, more: object = {}): EnvoyOptions => ({
    bootstrap: {
      node: { id, cluster: "c" },
      // Fixed, as by default: the next Envoy takes the former's.
      admin: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } },
      ...forwardingBootstrap({ host: "127.0.0.1", port }, backend),
      ...more,
    },
    binary,
    concurrency: 2,
    listenerDrainSeconds: 1,
    replaceable: true,
    ...options,
  });
  const envoy = await startEnvoy(named("first"));
  scope.use({ close: () => envoy.stop() });
  await envoy.ready();
  const node = async () =>
    JSON.parse((await askAdmin(await envoy.live(), "GET", "/server_info")).body).node.id as string;
  return { envoy, url: `http://127.0.0.1:${port}/`, named, node };
}

/** Keeps an Envoy from starting: it waits for listeners from a control plane that is none. */
const NEVER_STARTS = {
  dynamic_resources: {
    lds_config: { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" },
    ads_config: {
      api_type: "DELTA_GRPC",
      transport_api_version: "V3",
      grpc_services: [{ envoy_grpc: { cluster_name: "backend" } }],
    },
  },
};

/** What an Envoy and those that took over from it leave behind. */
function memoryOf(pid: number | undefined): string {
  const baseId = /--base-id\0(\d+)/.exec(readFileSync(`/proc/${pid}/cmdline`, "latin1"))?.[1];
  return `/dev/shm/envoy_shared_memory_${Number(baseId) * 10}`;
}

/** Those that a process has started. */
function envoysOf(pid: number): number[] {
  const isEnvoy = (child: number) => /^[^\0]*\/envoy\0/.test(readFileSync(`/proc/${child}/cmdline`, "latin1"));
  return descendants(pid).filter((child) => isAlive(child) && isEnvoy(child));
}

test("Another Envoy takes over under load, twice: none of the requests fails, and those in flight are answered", async () => {
  const held: ServerResponse[] = [];
  const backend = createServer((request, response) => {
    if (request.url === "/held") held.push(response);
    else response.end("quick");
  }).listen(0, "127.0.0.1");
  await once(backend, "listening");
  scope.use({ close: () => backend.close() });
  const { envoy, url, named, node } = await startSubject({}, "127.0.0.1", (backend.address() as AddressInfo).port);
  const kept = startLoad({ url, concurrency: 4 });
  const fresh = startLoad({ url, concurrency: 2, headers: { connection: "close" } });
  const pids = [envoy.pid];
  for (const id of ["second", "third"]) {
    const before = held.length;
    const inFlight = ask(`${url}held`);
    await eventually("a request is at the backend", () => held.length > before);
    expect(await envoy.replace(named(id))).toBeUndefined();
    expect(await node()).toBe(id);
    expect(envoy.formerPid).toBe(pids.at(-1));
    expect(await envoy.missing()).toBeUndefined();
    held.at(-1)?.end("held");
    expect(await inFlight).toMatchObject({ status: 200, body: "held", complete: true });
    pids.push(envoy.pid);
  }
  await eventually("the former has ended", () => envoy.formerPid === undefined);
  for (const load of [kept, fresh]) {
    const { requests, outcomes, broken } = await load.stop();
    expect(broken).toEqual([]);
    expect(outcomes).toEqual({ 200: requests });
  }
  expect(new Set(pids).size).toBe(3);
  expect(pids.filter((pid) => isAlive(pid as number))).toEqual([envoy.pid]);
  expect([envoy.takeovers, envoy.restarts]).toEqual([2, 0]);
  const memory = memoryOf(envoy.pid);
  expect(existsSync(memory)).toBe(true);
  await envoy.stop();
  expect(existsSync(memory)).toBe(false);
});

test("A bootstrap that Envoy refuses changes nothing", async () => {
  const { envoy, url, named, node } = await startSubject();
  const { pid } = envoy;
  expect(await envoy.replace(named("worse", { static_resources: { clusters: [{ name: "" }] } }))).toMatch(/[Cc]luster/);
  expect([envoy.pid, envoy.takeovers, await node()]).toEqual([pid, 0, "first"]);
  expect((await ask(url)).status).toBe(200);
});

test("One that does not start is given up without a failed request, and a later one takes over", async () => {
  const { envoy, url, named, node } = await startSubject({ takeoverMs: 5_000 });
  const load = startLoad({ url, concurrency: 2 });
  const failure = envoy.replace(named("stuck", NEVER_STARTS));
  expect(await failure).toMatch(/^it had not started after 5000 ms/);
  expect(await envoy.missing()).toBeUndefined();
  expect(await node()).toBe("first");
  expect(await envoy.replace(named("second"))).toBeUndefined();
  expect(await node()).toBe("second");
  const { requests, outcomes, broken } = await load.stop();
  expect(broken).toEqual([]);
  expect(outcomes).toEqual({ 200: requests });
});

test("When the Envoy in service is killed while another one is to take over, one is started as it was", async () => {
  const { envoy, url, named, node } = await startSubject();
  const first = envoy.pid as number;
  const admin = envoy.adminAddress;
  const failure = envoy.replace(named("stuck", NEVER_STARTS));
  await eventually("the next one lives", () => envoy.adminAddress !== admin);
  expect(await envoy.missing()).toBeUndefined();
  process.kill(first, "SIGKILL");
  expect(await failure).toBe("the Envoy in service ended");
  await envoy.ready();
  expect([await node(), envoy.restarts]).toEqual(["first", 1]);
  expect((await ask(url)).status).toBe(200);
});

test("When the one that is to take over is killed, no request fails, and a later one takes over", async () => {
  const { envoy, url, named, node } = await startSubject();
  const load = startLoad({ url, concurrency: 2 });
  const before = new Set(envoysOf(process.pid));
  const failure = envoy.replace(named("stuck", NEVER_STARTS));
  const isNext = (pid: number) => !before.has(pid) && readFileSync(`/proc/${pid}/cmdline`).includes("--restart-epoch");
  process.kill(await eventually("the next one runs", () => envoysOf(process.pid).find(isNext)), "SIGKILL");
  expect(await failure).toBe("it ended (SIGKILL)");
  expect([await node(), await envoy.missing(), envoy.restarts]).toEqual(["first", undefined, 0]);
  expect(await envoy.replace(named("second"))).toBeUndefined();
  expect(await node()).toBe("second");
  const { requests, outcomes, broken } = await load.stop();
  expect(broken).toEqual([]);
  expect(outcomes).toEqual({ 200: requests });
});

test("When the one that took over is killed, one is started as it was, and the former ends in time", async () => {
  const { envoy, url, named, node } = await startSubject();
  const former = envoy.pid as number;
  expect(await envoy.replace(named("second"))).toBeUndefined();
  process.kill(envoy.pid as number, "SIGKILL");
  await eventually("it is started again", () => envoy.restarts === 1);
  await envoy.ready();
  expect(await node()).toBe("second");
  expect((await ask(url)).status).toBe(200);
  await eventually("the former has ended", () => !isAlive(former));
});

test("A proxy that is stopped while another one is to take over ends with both", async () => {
  const { envoy, named } = await startSubject();
  const admin = envoy.adminAddress;
  const memory = memoryOf(envoy.pid);
  const failure = envoy.replace(named("stuck", NEVER_STARTS));
  await eventually("the next one lives", () => envoy.adminAddress !== admin);
  await envoy.stop();
  expect(await failure).toBe("the proxy ends");
  expect(envoy.pid).toBeUndefined();
  expect(existsSync(memory)).toBe(false);
});
