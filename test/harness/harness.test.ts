// The harness itself: what the other tests lean on.
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { freePort, loopbackAddress } from "./addresses.js";
import { failFirst, startBackend } from "./backend.js";
import { createAuthority } from "./certificates.js";
import { ask } from "./client.js";
import { startTestEnvoy } from "./envoy.js";
import { forwardingBootstrap } from "./envoy-bootstrap.js";
import { createScope, testScope } from "./scope.js";
import { startTcpBackend } from "./tcp-backend.js";
import { eventually } from "./waiting.js";

const scope = testScope();

test("A request through a real Envoy reaches the backend, which says what it got", async () => {
  const backend = await startBackend(scope, "one");
  const [host, port] = [await loopbackAddress(scope), await freePort()];
  const envoy = await startTestEnvoy(scope, forwardingBootstrap({ host, port }, backend));

  const answer = await ask(`http://${host}:${port}/a?b=c`, { headers: { host: "shop", "x-tag": "7" }, body: "hi" });

  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toMatchObject({
    backend: "one",
    path: "/a?b=c",
    body: "hi",
    headers: { host: "shop", "x-tag": "7" },
  });
  expect(await envoy.stat("cluster.backend.upstream_rq_total")).toBe(1);
  expect(await envoy.stat("cluster.backend.upstream_rq_total_")).toBe(0);
});

test("A backend fails, stalls, breaks off and drops connections as it is told", async () => {
  const backend = await startBackend(scope, "moody");
  const url = `http://${backend.host}:${backend.port}/`;
  backend.behave(failFirst(2));
  expect([(await ask(url)).status, (await ask(url)).status, (await ask(url)).status]).toEqual([503, 503, 200]);
  backend.behave(() => "reset");
  await expect(ask(url)).rejects.toThrow();
  backend.behave(({ path }) => (path === "/stall" ? "stall" : { status: 200, thenStall: true }));
  const stop = new AbortController();
  const stalled = ask(`${url}stall`, { signal: stop.signal });
  const half = ask(url);
  await eventually("the former connections are gone", () => backend.connections.open === 2);
  stop.abort();
  await expect(stalled).rejects.toThrow();
  await backend.close();
  expect(await half).toMatchObject({ status: 200, complete: false });
});

test("Certificates are verified by name, and an expired one is refused", async () => {
  const authority = await createAuthority("test");
  const backend = await startBackend(scope, "tls", { tls: await authority.issue(["a.example.com", "127.0.0.1"]) });
  const expired = await startBackend(scope, "old", { tls: await authority.issue(["a.example.com"], { days: -1 }) });
  const client = { ca: authority.certificate, serverName: "a.example.com" };

  const answer = await ask(`https://${backend.host}:${backend.port}/`, client);

  expect(JSON.parse(answer.body)).toMatchObject({ backend: "tls", serverName: "a.example.com" });
  const misnamed = ask(`https://${backend.host}:${backend.port}/`, { ...client, serverName: "b.example.com" });
  await expect(misnamed).rejects.toThrow(/altnames/);
  await expect(ask(`https://${expired.host}:${expired.port}/`, client)).rejects.toThrow(/expired/);
});

test("A TCP backend greets and echoes", async () => {
  const backend = await startTcpBackend(scope, "raw");
  const socket = connect(backend.port, backend.host);
  socket.end("ping");
  let got = "";
  for await (const chunk of socket) got += chunk;
  expect(got).toBe("raw\nping");
});

test("Loopback addresses are never handed out twice while they are claimed", async () => {
  const own = createScope();
  const addresses = await Promise.all(Array.from({ length: 50 }, () => loopbackAddress(own)));
  await own.close();
  expect(new Set(addresses).size).toBe(50);
  for (const address of addresses) expect(address).toMatch(/^127\.\d+\.\d+\.\d+$/);
});

test("Ports are never handed out twice, and are none that the kernel gives to others", async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  expect(new Set(ports).size).toBe(50);
  const range = await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").catch(() => "32768");
  expect(Math.max(...ports)).toBeLessThan(Number.parseInt(range, 10));
});

test("A scope closes everything in reverse, though one thing fails to close", async () => {
  const own = createScope();
  const closed: string[] = [];
  own.use({ close: () => closed.push("first") });
  own.use({
    close: () => {
      throw new Error("stuck");
    },
  });
  own.use({ close: () => closed.push("last") });
  await expect(own.close()).rejects.toThrow("stuck");
  expect(closed).toEqual(["last", "first"]);
});

test("An Envoy that refuses its bootstrap says why", async () => {
  await expect(startTestEnvoy(scope, { static_resources: { listeners: [{ nome: "x" }] } })).rejects.toThrow(/nome/);
});
