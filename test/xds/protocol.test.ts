// The protocol's rules that hold for both variants, played by scripted streams against the real server.
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { CLUSTER, ENDPOINTS, ROUTES } from "../../controlplane/xds/order.js";
import type { AdsServer } from "../../controlplane/xds/server.js";
import { snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";

function clusterStatus(server: AdsServer, key = "proxy") {
  const proxy = server.status().find((entry) => entry.key === key);
  return proxy?.types.find(({ typeUrl }) => typeUrl === CLUSTER);
}

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("every response has a nonce; nonces do not survive a stream", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const nonces = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const stream = open(variant);
      stream.subscribe(CLUSTER);
      nonces.add((await stream.accept()).nonce);
      cache.set("proxy", snapshot({ [CLUSTER]: { a: `${round + 2}` } }));
      nonces.add((await stream.accept()).nonce);
      stream.cancel();
    }
    expect(nonces.size).toBe(4);
    expect(nonces).not.toContain("");
  });

  test("the node is needed on the first request only", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ENDPOINTS]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    stream.send({ typeUrl: ENDPOINTS, resourceNames: ["a"], resourceNamesSubscribe: ["a"] });
    expect((await stream.accept()).resources).toEqual(["a@1"]);
  });

  test("a stream without a node ends with INVALID_ARGUMENT", async () => {
    const { open } = await stage();
    const without = open(variant);
    without.send({ node: undefined, typeUrl: CLUSTER });
    expect((await without.ended).code).toBe(status.INVALID_ARGUMENT);
    const nameless = open(variant, "");
    nameless.subscribe(CLUSTER);
    expect((await nameless.ended).code).toBe(status.INVALID_ARGUMENT);
  });

  test("a NACK is a request with error_detail, never inferred from versions", async () => {
    const { cache, open, fence, events, server } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    const { nonce } = await stream.receive();
    stream.send({ typeUrl: CLUSTER, responseNonce: nonce, versionInfo: "another version" });
    await fence();
    expect(events.filter(({ type }) => type === "nack")).toEqual([]);
    expect(clusterStatus(server)).toMatchObject({ state: "synced", rejections: 0 });
  });

  test("after a NACK the same content is not sent again; the error is counted and shown, and cleared on ACK", async () => {
    const { cache, open, fence, events, server } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    const good = await stream.accept();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "bad" } }));
    const bad = await stream.receive();
    stream.nack(bad, "a: unheard-of discovery type");
    await fence();
    expect(stream.arrived).toEqual([]);
    expect(clusterStatus(server)).toMatchObject({
      state: "rejected",
      rejections: 1,
      sentVersion: bad.version,
      acknowledgedVersion: good.version,
      error: { message: "a: unheard-of discovery type", version: bad.version, names: ["a"] },
    });
    expect(events).toContainEqual(
      expect.objectContaining({ type: "nack", key: "proxy", typeUrl: CLUSTER, nonce: bad.nonce, names: ["a"] }),
    );

    cache.set("proxy", snapshot({ [CLUSTER]: { a: "bad" }, [ENDPOINTS]: {} }));
    await fence();
    expect(stream.arrived).toEqual([]);

    cache.set("proxy", snapshot({ [CLUSTER]: { a: "3" } }));
    const better = await stream.accept();
    expect(better.resources).toEqual(["a@3"]);
    await fence();
    expect(clusterStatus(server)).toMatchObject({
      state: "synced",
      rejections: 1,
      acknowledgedVersion: better.version,
    });
    expect(clusterStatus(server)).not.toHaveProperty("error");
  });

  test("a rejected change that is taken back is sent, for the client may have applied it in part", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "bad" } }));
    stream.nack(await stream.receive(), "no");
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
    expect((await stream.accept()).resources).toEqual(["a@1", "b@1"]);
  });

  test("a rejected resource leaves the others going out", async () => {
    const { cache, open, server, fence } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "bad" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    stream.nack(await stream.receive(), "Error adding cluster b: no");
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "bad" } }));
    expect((await stream.receive()).resources).toContain("a@2");
    await fence();
    expect(clusterStatus(server)).toMatchObject({ state: "rejected", error: { names: ["b"] } });
  });

  test("an ACK that changes no subscription gets no response", async () => {
    const { cache, open, fence } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ENDPOINTS]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    stream.subscribe(ENDPOINTS, "a");
    const endpoints = await stream.accept("a");
    stream.ack(endpoints, "a");
    await fence();
    expect(stream.arrived).toEqual([]);
  });

  test("a reconnect that carries an old nonce is a new stream", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const old = open(variant);
    old.subscribe(CLUSTER);
    const { nonce, version } = await old.accept();
    old.cancel();
    const stream = open(variant);
    stream.send({ typeUrl: CLUSTER, responseNonce: nonce, versionInfo: version });
    const again = await stream.accept();
    expect(again.resources).toEqual(["a@1"]);
    expect(again.nonce).not.toBe(nonce);
  });

  test("nothing of a type is sent after its unsubscription", async () => {
    const { cache, open, fence } = await stage();
    cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
    const stream = open(variant);
    stream.subscribe(ENDPOINTS, "a", "b");
    const { nonce } = await stream.accept("a", "b");
    stream.send({
      typeUrl: ENDPOINTS,
      responseNonce: variant === "sotw" ? nonce : "",
      resourceNames: [],
      resourceNamesUnsubscribe: ["a", "b"],
    });
    await fence();
    cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "2", c: "1" } }));
    await fence();
    expect(stream.arrived).toEqual([]);
  });

  test("a type that nobody knows is answered with nothing but remembered", async () => {
    const { cache, open, fence } = await stage();
    const unknown = "type.googleapis.com/test.Unknown";
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(unknown, "x");
    await fence();
    expect(stream.arrived).toEqual([]);
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [unknown]: { x: "1" } }));
    expect((await stream.accept("x")).resources).toEqual(["x@1"]);
  });

  test("what has not changed is not sent, whatever else does", async () => {
    const { cache, open, fence, server } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1", other: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    stream.subscribe(ROUTES, "r");
    await stream.accept("r");
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1", other: "2" } }));
    await fence();
    expect(stream.arrived).toEqual([]);
    expect(server.status()[0]?.types.map(({ state }) => state)).toEqual(["synced", "synced"]);
    expect(server.status()[0]?.types.map((type) => type.acknowledgedVersion === type.targetVersion)).toEqual([
      true,
      true,
    ]);
  });

  test("the status of a proxy that went keeps its acknowledged versions and its last error", async () => {
    const { cache, open, fence, server, clock } = await stage({ retention: { entries: 2, millis: 1000 } });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    const { version } = await stream.accept();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "bad" } }));
    stream.nack(await stream.receive(), "no");
    await fence();
    stream.cancel();
    await stream.ended;
    await fence();
    const gone = server.status().find(({ key }) => key === "proxy");
    expect(gone?.disconnectedAt).toBe(clock.now());
    expect(gone?.types).toMatchObject([{ acknowledgedVersion: version, error: { message: "no" } }]);
    clock.advance(1001);
    expect(server.status().filter(({ key }) => key === "proxy")).toEqual([]);
  });
});
