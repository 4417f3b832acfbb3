// A DestinationRule's connectionPool: limits, timeouts and protocols of upstream connections, through a real sidecar.
import { once, setMaxListeners } from "node:events";
import { readFile } from "node:fs/promises";
import type { Agent } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate as poll, setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, echo, failFirst, startBackend } from "../harness/backend.js";
import { ask } from "../harness/client.js";
import { covers } from "../harness/covers.js";
import { startTestMesh, type TestMesh, type TestProxy } from "../harness/mesh.js";
import { testScope } from "../harness/scope.js";
import { startTcpBackend, type TcpBackend } from "../harness/tcp-backend.js";
import { eventually } from "../harness/waiting.js";

const scope = testScope();
let mesh: TestMesh;
let sidecar: TestProxy;
let web: Backend;
let raw: TcpBackend;
let http2: { port: number; sessions: () => number };

beforeAll(async () => {
  mesh = await startTestMesh(scope);
  web = await startBackend(scope, "web");
  raw = await startTcpBackend(scope, "raw");
  http2 = await startHttp2Backend();
  const services = [
    service("web", "http", 9080, web.port),
    service("raw", "tcp", 9300, raw.port),
    service("two", "http2", 9082, http2.port),
    service("mixed", "http", 9083, http2.port),
    service("deaf", "http", 9084, await startDeafServer()),
  ];
  await mesh.apply("services.yaml", services.join("---\n"));
  sidecar = await mesh.startProxy({ name: "client" });
});

function service(name: string, protocol: string, port: number, targetPort: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: ${port}, name: main, protocol: ${protocol}, targetPort: ${targetPort}}]
  endpoints: [{address: 127.0.0.1}]
`;
}

/** Speaks HTTP/2 without TLS, and HTTP/1.1 not at all; holds requests to /hold. */
async function startHttp2Backend() {
  let sessions = 0;
  const server: Http2Server = createHttp2Server((request, response) => {
    if (request.url !== "/hold") response.end("two");
  });
  server.on("session", (session) => {
    sessions += 1;
    session.on("error", () => session.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.use({ close: () => void server.close() });
  return { port: (server.address() as AddressInfo).port, sessions: () => sessions };
}

/** A port whose queue of connections is full, so that no further one is ever established. */
async function startDeafServer(): Promise<number> {
  const program = `const { parentPort } = require("node:worker_threads");
    const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 20);
    });`;
  const worker = new Worker(program, { eval: true });
  scope.use({ close: () => worker.terminate() });
  const [port] = (await once(worker, "message")) as [number];
  await sleep(100);
  const fillers: Socket[] = [];
  const isFull = () => fillers.length > 0 && fillers.at(-1)?.connecting === true;
  while (!isFull()) {
    fillers.push(connect(port, "127.0.0.1").on("error", () => {}));
    await sleep(50);
    // On a busy machine the time may be up before this process has looked for what is established.
    await poll();
  }
  scope.use({ close: () => fillers.map((socket) => socket.destroy()) });
  return port;
}

/** `pool` is YAML flow for connectionPool. */
async function apply(name: string, pool: string): Promise<void> {
  await mesh.apply(
    "rule.yaml",
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rule}
spec: {host: ${name}, trafficPolicy: {connectionPool: ${pool}}}
`,
  );
  expect(await mesh.violations()).toEqual([]);
}

function call(name: string, port: number, more: { agent?: Agent; signal?: AbortSignal; path?: string } = {}) {
  const { path = "/", ...rest } = more;
  return ask(`http://${sidecar.address}:${port}${path}`, {
    headers: { host: `${name}.default.svc.cluster.local` },
    ...rest,
  });
}

const stat = (name: string, port: number, counter: string) =>
  sidecar.stat(`cluster.outbound|${port}||${name}.default.svc.cluster.local.${counter}`);

/** Keeps so many requests under way, while `during` runs. */
async function holding(count: number, name: string, port: number, during: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const before = await stat(name, port, "upstream_rq_total");
  const held = Array.from({ length: count }, () =>
    call(name, port, { signal: stop.signal, path: "/hold" }).catch(() => undefined),
  );
  await eventually("requests are held", async () => (await stat(name, port, "upstream_rq_total")) - before === count);
  await during();
  stop.abort();
  await Promise.all(held);
}

/** A service that failed is asked once more. */
const RETRY_ONCE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}], retries: {attempts: 1, retryOn: "503"}}]}
`;

describe("limits", () => {
  it("http1MaxPendingRequests refuses the request for which the queue is full", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.http1MaxPendingRequests");
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.maxConnections");
    await apply("web", "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}");
    web.behave(({ path }) => (path === "/hold" ? "stall" : { status: 200 }));
    let waiting: ReturnType<typeof call> | undefined;
    await holding(1, "web", 9080, async () => {
      waiting = call("web", 9080);
      await eventually("one waits", async () => (await stat("web", 9080, "upstream_rq_pending_active")) === 1);
      expect((await call("web", 9080)).status).toBe(503);
      expect(await stat("web", 9080, "upstream_rq_pending_overflow")).toBe(1);
    });
    expect((await waiting)?.status).toBe(200);
  });

  it("http2MaxRequests refuses the request too many, over HTTP/1.1 as well", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.http2MaxRequests");
    await apply("two", "{http: {http2MaxRequests: 2}}");
    await holding(2, "two", 9082, async () => expect((await call("two", 9082)).status).toBe(503));
    expect((await call("two", 9082)).status).toBe(200);
    await apply("web", "{http: {http2MaxRequests: 2}}");
    await holding(2, "web", 9080, async () => expect((await call("web", 9080)).status).toBe(503));
    expect((await call("web", 9080)).status).toBe(200);
  });

  it("maxConcurrentStreams opens another HTTP/2 connection for the stream too many", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.maxConcurrentStreams");
    await apply("two", "{http: {maxConcurrentStreams: 1}}");
    const before = http2.sessions();
    await holding(3, "two", 9082, async () => {
      await eventually("three connections", () => http2.sessions() - before === 3);
    });
  });

  it("maxRequestsPerConnection closes a connection after so many", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.maxRequestsPerConnection");
    const connections = async () => {
      const before = web.connections.total;
      for (let i = 0; i < 4; i++) expect((await call("web", 9080)).status).toBe(200);
      return web.connections.total - before;
    };
    await apply("web", "{http: {maxRequestsPerConnection: 2}}");
    expect(await connections()).toBe(2);
    await apply("web", "{}");
    expect(await connections()).toBeLessThanOrEqual(1);
  });

  it("maxRetries bounds the retries that are under way at once", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.maxRetries");
    await mesh.apply("retry.yaml", RETRY_ONCE);
    await apply("web", "{http: {maxRetries: 0}}");
    web.behave(failFirst(1));
    expect((await call("web", 9080)).status).toBe(503);
    expect(await stat("web", 9080, "upstream_rq_retry_overflow")).toBe(1);
    await apply("web", "{http: {maxRetries: 1}}");
    web.behave(failFirst(1));
    expect((await call("web", 9080)).status).toBe(200);
    await mesh.remove("retry.yaml");
  });

  it("retryBudget bounds them by the requests under way, in place of maxRetries", async () => {
    covers("DestinationRule", "trafficPolicy.retryBudget", "trafficPolicy.retryBudget.percent");
    covers("DestinationRule", "trafficPolicy.retryBudget.minRetryConcurrency");
    await mesh.apply("retry.yaml", RETRY_ONCE);
    const budget = (text: string) =>
      mesh.apply(
        "rule.yaml",
        `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rule}
spec: {host: web, trafficPolicy: {connectionPool: {http: {maxRetries: 0}}, retryBudget: ${text}}}
`,
      );
    for (const [text, status] of [
      ["{percent: 0, minRetryConcurrency: 0}", 503],
      ["{percent: 0, minRetryConcurrency: 1}", 200],
      ["{percent: 100, minRetryConcurrency: 0}", 200],
      ["{}", 200],
    ] as const) {
      await budget(text);
      web.behave(failFirst(1));
      expect((await call("web", 9080)).status, text).toBe(status);
    }
    await mesh.remove("retry.yaml");
  });
});

describe("timeouts", () => {
  it("http.idleTimeout closes connections that nothing uses", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.idleTimeout");
    web.behave(echo);
    await apply("web", "{http: {idleTimeout: 50ms}}");
    await call("web", 9080);
    await eventually("the connection goes", () => web.connections.open === 0);
    expect(await stat("web", 9080, "upstream_cx_idle_timeout")).toBeGreaterThan(0);
  });

  it("maxConnectionDuration ends connections however they are used", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.maxConnectionDuration");
    await apply("web", "{tcp: {maxConnectionDuration: 50ms}}");
    await call("web", 9080);
    await eventually("it goes", async () => (await stat("web", 9080, "upstream_cx_max_duration_reached")) > 0);
    await apply("raw", "{tcp: {maxConnectionDuration: 100ms}}");
    const socket = connect(9300, sidecar.address);
    const chatter = setInterval(() => socket.write("still here\n"), 10);
    // What was written and not read when the connection ends is answered with a reset.
    socket.on("error", (error: NodeJS.ErrnoException) => expect(error.code).toMatch(/ECONNRESET|EPIPE/));
    socket.resume();
    await new Promise((resolve) => socket.on("close", resolve));
    clearInterval(chatter);
  });

  it("tcp.idleTimeout ends TCP connections without traffic", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.idleTimeout");
    await apply("raw", "{tcp: {idleTimeout: 100ms}}");
    const socket = connect(9300, sidecar.address);
    socket.resume();
    await once(socket, "close");
    expect(await sidecar.stat("tcp.outbound|9300||raw.default.svc.cluster.local.idle_timeout")).toBe(1);
  });

  it("connectTimeout gives up a connection that is not established", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.connectTimeout");
    await mesh.apply(
      "timeout.yaml",
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: deaf}
spec: {hosts: [deaf], http: [{route: [{destination: {host: deaf}}], timeout: 5s, retries: {attempts: 0}}]}
`,
    );
    // Without the field it would be 504, by the rule's timeout.
    await apply("deaf", "{tcp: {connectTimeout: 100ms}}");
    expect((await call("deaf", 9084)).status).toBe(503);
    expect(await stat("deaf", 9084, "upstream_cx_connect_timeout")).toBeGreaterThan(0);
  });
});

describe("tcpKeepalive", () => {
  /** The kernel's keepalive timers, in seconds, of connections to a port of loopback; none runs where there is none. */
  async function keepaliveTimers(port: number): Promise<number[]> {
    const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
    const established = rows.filter((row) => row[2] === remote && row[3] === "01");
    return established.flatMap(([, , , , , timer = ""]) => {
      const [kind, when = "0"] = timer.split(":");
      return kind === "02" ? [Number.parseInt(when, 16) / 100] : [];
    });
  }

  it("has the kernel probe idle connections after the time given", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.tcpKeepalive");
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.tcpKeepalive.time");
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.tcpKeepalive.probes");
    covers("DestinationRule", "trafficPolicy.connectionPool.tcp.tcpKeepalive.interval");
    await apply("web", "{}");
    await call("web", 9080);
    expect(await keepaliveTimers(web.port)).toEqual([]);
    await apply("web", "{tcp: {tcpKeepalive: {time: 600s, interval: 7s, probes: 3}}}");
    await call("web", 9080);
    const timers = await eventually("a timer runs", async () => {
      const running = await keepaliveTimers(web.port);
      return running.length > 0 && running;
    });
    expect(timers.every((seconds) => seconds > 300 && seconds <= 600)).toBe(true);
    // The kernel does not show the other two.
    const { body } = await sidecar.get("/config_dump?resource=dynamic_active_clusters&name_regex=.*web.*");
    expect(body).toMatch(/"keepalive_probes": 3,\s*"keepalive_time": 600,\s*"keepalive_interval": 7/);
  });
});

describe("protocols", () => {
  async function asHttp2(port: number, name: string): Promise<number> {
    const session = connectHttp2(`http://${sidecar.address}:${port}`);
    const stream = session.request({ ":path": "/", ":authority": `${name}.default.svc.cluster.local` });
    stream.resume();
    const [headers] = await once(stream, "response");
    session.destroy();
    return headers[":status"];
  }

  it("h2UpgradePolicy UPGRADE speaks HTTP/2 to an HTTP port, DO_NOT_UPGRADE HTTP/1.1", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.h2UpgradePolicy");
    await apply("mixed", "{http: {h2UpgradePolicy: UPGRADE}}");
    expect((await call("mixed", 9083)).body).toBe("two");
    await apply("mixed", "{http: {h2UpgradePolicy: DO_NOT_UPGRADE}}");
    expect((await call("mixed", 9083)).status).not.toBe(200);
  });

  it("useClientProtocol speaks what the client spoke", async () => {
    covers("DestinationRule", "trafficPolicy.connectionPool.http.useClientProtocol");
    await apply("mixed", "{http: {useClientProtocol: true}}");
    expect(await asHttp2(9083, "mixed")).toBe(200);
    expect((await call("mixed", 9083)).status).not.toBe(200);
    await apply("mixed", "{}");
    expect(await asHttp2(9083, "mixed")).not.toBe(200);
  });
});
