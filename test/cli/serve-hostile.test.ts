// `headgate serve` before clients that mean it ill or are broken: each is turned away or waits, and the others are served.
import { readdirSync, readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeAll, expect, test } from "vitest";
import { CLUSTER, ENDPOINTS } from "../../controlplane/xds/order.js";
import { serviceEntry } from "../harness/policies.js";
import { testScope } from "../harness/scope.js";
import { type ServeProcess, startServe } from "../harness/serve.js";
import { eventually } from "../harness/waiting.js";
import { connect, ScriptedStream } from "../xds/support/script.js";
import { idOf, writeFiles } from "./support/served.js";

const scope = testScope();
const MB = 1_000_000;
const HALF_OPEN = 500;
const STREAMS_PER_CONNECTION = 100;
let served: ServeProcess;
let directory: string;
let proxy: ScriptedStream;
let changes = 0;

beforeAll(async () => {
  directory = join(await scope.directory(), "policies");
  await writeFiles(directory, { "a.yaml": serviceEntry("a", { v1: { port: 1000 } }) });
  served = await startServe(scope, ["--config", directory, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
  proxy = await connectProxy("good");
});

/** Whatever happened: the proxy that was there before is sent the next change, and one that comes now is let in. */
afterEach(async () => {
  changes++;
  await writeFiles(directory, { "a.yaml": serviceEntry("a", { v1: { port: 1000 + changes } }) });
  expect((await proxy.accept()).typeUrl).toBe(ENDPOINTS);
  (await connectProxy(`late-${changes}`)).cancel();
});

/** A proxy that has its clusters and endpoints; it comes again, as Envoy does, while it is turned away. */
function connectProxy(name: string): Promise<ScriptedStream> {
  const client = scope.use(connect(served.ads));
  return eventually(`${name} is let in`, async () => {
    const stream = new ScriptedStream(client, "delta", idOf(name));
    stream.subscribe(CLUSTER);
    const clusters = await Promise.race([stream.receive(), stream.ended]);
    if ("code" in clusters) return undefined;
    stream.ack(clusters);
    stream.subscribe(ENDPOINTS, "outbound|9080||a.default.svc.cluster.local");
    expect((await stream.accept()).typeUrl).toBe(ENDPOINTS);
    return stream;
  });
}

function open(name: string): ScriptedStream {
  return new ScriptedStream(scope.use(connect(served.ads)), "delta", idOf(name));
}

function openSocket(): Promise<Socket> {
  const [host = "", port = ""] = served.ads.split(":");
  const socket = connectTcp({ host, port: Number(port) });
  scope.use({ close: () => socket.destroy() });
  return new Promise((resolve, reject) => socket.once("connect", () => resolve(socket)).once("error", reject));
}

function residentBytes(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${served.pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

function openFiles(): number {
  return readdirSync(`/proc/${served.pid}/fd`).length;
}

test("A request over 4 MiB ends its stream", async () => {
  const stream = open("large");
  stream.sendBytes(Buffer.alloc(4 * 1024 * 1024 + 1));
  expect((await stream.ended).code).toBe(status.RESOURCE_EXHAUSTED);
});

test("A first request without a node ends its stream", async () => {
  const stream = open("nameless");
  stream.send({ node: undefined, typeUrl: CLUSTER });
  expect((await stream.ended).code).toBe(status.INVALID_ARGUMENT);
});

test("A message that is no request ends its stream", async () => {
  const stream = open("garbled");
  stream.sendBytes(Buffer.alloc(1_000, 0xff));
  expect([status.INVALID_ARGUMENT, status.INTERNAL]).toContain((await stream.ended).code);
});

test("Bytes that are no HTTP/2 end their connection", async () => {
  const socket = await openSocket();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.resume();
  socket.write(Buffer.alloc(10_000, "no preface "));
  await closed;
});

test(`${2 * HALF_OPEN} connections and streams that say nothing cost little, and are gone when they end`, async () => {
  const before = residentBytes();
  const filesBefore = openFiles();
  const sockets = await Promise.all(Array.from({ length: HALF_OPEN }, openSocket));
  const clients = Array.from({ length: HALF_OPEN / STREAMS_PER_CONNECTION }, () => scope.use(connect(served.ads)));
  const silent = clients.flatMap((client) =>
    Array.from({ length: STREAMS_PER_CONNECTION }, () => new ScriptedStream(client, "delta", "silent")),
  );
  const among = await connectProxy("among-them");
  expect(openFiles()).toBeGreaterThanOrEqual(filesBefore + HALF_OPEN + clients.length);
  expect(residentBytes() - before).toBeLessThan(100 * MB);
  among.cancel();
  for (const stream of silent) stream.cancel();
  for (const socket of sockets) socket.destroy();
  await Promise.all(silent.map((stream) => stream.ended));
  for (const client of clients) client.close();
  await eventually("their connections are gone", () => openFiles() <= filesBefore + 1);
});
