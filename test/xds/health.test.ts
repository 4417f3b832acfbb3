// What keeps the server well: readiness, coalescing, limits, flow control, and streams that cannot harm each other.
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLUSTER, ROUTES } from "../../controlplane/xds/order.js";
import type { XdsResource } from "../../controlplane/xds/snapshot.js";
import { snapshot } from "./support/resources.js";
import { connect } from "./support/script.js";
import { OWN_OPTIONS, stage } from "./support/stage.js";

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("not yet synced with its sources: UNAVAILABLE, never an empty configuration", async () => {
    let isSynced = false;
    const { cache, open } = await stage({ synced: () => isSynced });
    const early = open(variant);
    early.subscribe(CLUSTER);
    expect((await early.ended).code).toBe(status.UNAVAILABLE);
    expect(early.arrived).toEqual([]);
    isSynced = true;
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    expect((await stream.accept()).resources).toEqual(["a@1"]);
  });

  test("a proxy that has no snapshot yet waits for it", async () => {
    const { cache, open, fence } = await stage();
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await fence();
    expect(stream.arrived).toEqual([]);
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    expect((await stream.accept()).resources).toEqual(["a@1"]);
  });

  test("changes are coalesced until nothing changes for quietMillis", async () => {
    const { cache, open, fence, clock } = await stage({ quietMillis: 10, maxQuietMillis: 1_000 });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "0" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    for (const version of ["1", "2", "3"]) {
      cache.set("proxy", snapshot({ [CLUSTER]: { a: version } }));
      await fence();
      clock.advance(9);
      await fence();
      expect(stream.arrived).toEqual([]);
    }
    clock.advance(1);
    expect((await stream.accept()).resources).toEqual(["a@3"]);
  });

  test("changes that never pause go out after maxQuietMillis", async () => {
    const { cache, open, fence, clock } = await stage({ quietMillis: 10, maxQuietMillis: 25 });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "0" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    for (const version of ["1", "2", "3"]) {
      cache.set("proxy", snapshot({ [CLUSTER]: { a: version } }));
      await fence();
      expect(stream.arrived).toEqual([]);
      clock.advance(9);
    }
    expect((await stream.accept()).resources).toEqual(["a@3"]);
  });

  test("unless set otherwise, 10 ms of quiet are waited for, and at most 1 s", async () => {
    const { cache, open, fence, clock } = await stage(OWN_OPTIONS);
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "0" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    await fence();
    clock.advance(9);
    await fence();
    expect(stream.arrived).toEqual([]);
    clock.advance(1);
    expect((await stream.accept()).resources).toEqual(["a@1"]);
    await fence();
    for (let version = 2; version <= 112; version++) {
      cache.set("proxy", snapshot({ [CLUSTER]: { a: String(version) } }));
      clock.advance(9);
    }
    await fence();
    expect(stream.arrived).toEqual([]);
    clock.advance(1);
    expect((await stream.accept()).resources).toEqual(["a@112"]);
  });

  test("a client that does not read is sent what its window holds, then only the newest, and costs the others nothing", async () => {
    const { address, cache, open, fence, events, server } = await stage({ answerMillis: 0 });
    const client = connect(address);
    onTestFinished(() => client.close());
    cache.set("stalled", { resources: new Map([[CLUSTER, new Map([["a", large("0")]])]]) });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "0" } }));
    const stalled = open(variant, "stalled", { client });
    stalled.pause();
    stalled.subscribe(CLUSTER);
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    for (let version = 1; version <= 5; version++) {
      cache.set("stalled", { resources: new Map([[CLUSTER, new Map([["a", large(`${version}`)]])]]) });
      cache.set("proxy", snapshot({ [CLUSTER]: { a: `${version}` } }));
      expect((await stream.accept()).resources).toEqual([`a@${version}`]);
      await fence();
    }
    const pushed = events.filter((event) => event.type === "push" && event.key === "stalled").length;
    expect(pushed).toBeLessThanOrEqual(2);
    stalled.resume();
    const received = [];
    for (let index = 0; index < pushed + 1; index++) received.push(await stalled.receive());
    await fence();
    expect(stalled.arrived).toEqual([]);
    const target = server.status().find(({ key }) => key === "stalled")?.types[0]?.targetVersion;
    expect(received.at(-1)?.version).toBe(target);
  });

  test("requests of one client do not keep pushes to the others waiting", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    const eager = open(variant, "eager");
    for (let index = 0; index < 2_000; index++) eager.send({ typeUrl: ROUTES, resourceNames: [`r${index}`] });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" } }));
    expect((await stream.accept()).resources).toEqual(["a@2"]);
  });

  test("garbage ends that stream alone with INVALID_ARGUMENT", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    for (const garbage of [Buffer.from([0xff]), Buffer.from("not protobuf"), Buffer.from([0x12, 0x7f, 0x01])]) {
      const hostile = open(variant, "hostile");
      hostile.sendBytes(garbage);
      expect((await hostile.ended).code).toBe(status.INVALID_ARGUMENT);
    }
    const later = open(variant, "hostile");
    later.subscribe(CLUSTER);
    later.sendBytes(Buffer.from([0xff]));
    expect((await later.ended).code).toBe(status.INVALID_ARGUMENT);
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" } }));
    expect((await stream.accept()).resources).toEqual(["a@2"]);
  });

  test("a request without type URL, or with names that are empty or too long, ends with INVALID_ARGUMENT", async () => {
    const { open } = await stage({ maxNameLength: 10 });
    for (const [typeUrl, name] of [
      ["", "a"],
      ["t", ""],
      ["t", "01234567890"],
      ["01234567890", "a"],
    ] as const) {
      const stream = open(variant);
      stream.send({ typeUrl, resourceNames: [name], resourceNamesSubscribe: [name] });
      expect((await stream.ended).code).toBe(status.INVALID_ARGUMENT);
    }
  });

  test("too many names or types end with RESOURCE_EXHAUSTED", async () => {
    const { open } = await stage({ maxNames: 3, maxTypes: 2 });
    const names = open(variant);
    names.subscribe("t", "a", "b");
    names.subscribe("u", "c", "d");
    expect((await names.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    const types = open(variant);
    for (const typeUrl of ["t", "u", "v"]) types.subscribe(typeUrl);
    expect((await types.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("a node id without bounds ends with INVALID_ARGUMENT", async () => {
    const { open } = await stage();
    const stream = open(variant, "x".repeat(1_025));
    stream.subscribe(CLUSTER);
    expect((await stream.ended).code).toBe(status.INVALID_ARGUMENT);
  });

  test("a request of more than maxRequestBytes ends that stream alone", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    const hostile = open(variant, "hostile");
    hostile.sendBytes(Buffer.alloc(4 * 1024 * 1024 + 1));
    expect((await hostile.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" } }));
    expect((await stream.accept()).resources).toEqual(["a@2"]);
  });
});

test("a stream that does not say who it is in time ends, and takes nobody's place", async () => {
  const { cache, open, clock } = await stage({ limits: { maxStreams: 1, firstRequestMillis: 10_000 } });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const silent = open("delta", "silent");
  const turnedAway = open("delta");
  turnedAway.subscribe(CLUSTER);
  expect((await turnedAway.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  clock.advance(10_000);
  expect((await silent.ended).code).toBe(status.DEADLINE_EXCEEDED);
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  expect((await stream.accept()).resources).toEqual(["a@1"]);
  clock.advance(60_000);
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" } }));
  expect((await stream.accept()).resources).toEqual(["a@2"]);
});

test("streams beyond maxStreams end with RESOURCE_EXHAUSTED, and those that end make room", async () => {
  const { cache, open, events } = await stage({ limits: { maxStreams: 1 } });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const first = open("delta");
  first.subscribe(CLUSTER);
  await first.accept();
  const second = open("delta");
  second.subscribe(CLUSTER);
  expect((await second.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  first.cancel();
  await expect.poll(() => events.some(({ type }) => type === "disconnect")).toBe(true);
  const third = open("delta");
  third.subscribe(CLUSTER);
  expect((await third.accept()).resources).toEqual(["a@1"]);
});

test("a peer that is gone without a word is found out by keepalive", async () => {
  const { address } = await stage({ limits: { keepaliveMillis: 20, keepaliveTimeoutMillis: 20 } });
  const socket = connectTcp(Number(address.split(":")[1]), "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), emptySettings]));
  socket.resume();
  await once(socket, "close");
});

test("closing ends the streams with UNAVAILABLE, so that proxies come back", async () => {
  const { cache, open, server } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  await stream.accept();
  const closed = server.close();
  expect((await stream.ended).code).toBe(status.UNAVAILABLE);
  await closed;
});

/** About 1 MB, far more than flow control lets out to a client that does not read. */
function large(version: string): XdsResource {
  const value = new Uint8Array(1_000_000).fill(Number(version));
  return { name: "a", version, any: toBinary(AnySchema, create(AnySchema, { typeUrl: CLUSTER, value })) };
}
