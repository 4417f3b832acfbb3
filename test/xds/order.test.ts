// Make before break: what goes out before what, and whose acknowledgement it waits for.
import { describe, expect, test } from "vitest";
import {
  CLUSTER,
  ENDPOINTS,
  EXTENSION_CONFIG,
  LISTENER,
  ROUTES,
  SECRET,
  VIRTUAL_HOST,
} from "../../controlplane/xds/order.js";
import { snapshot } from "./support/resources.js";
import type { Received, ScriptedStream } from "./support/script.js";
import { type Stage, stage } from "./support/stage.js";

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  const isDelta = variant === "delta";

  /** Connects and acknowledges until it has all of the types: wildcards for CDS and LDS, names for the others. */
  async function connected({ open }: Stage, types: Record<string, readonly string[]>): Promise<ScriptedStream> {
    const stream = open(variant);
    for (const [typeUrl, names] of Object.entries(types)) {
      stream.subscribe(typeUrl, ...names);
      await stream.accept(...names);
    }
    return stream;
  }

  /** Waits for nothing more and tells whether it came to that: the server has said all that it may say for now. */
  async function expectSilence({ fence }: Stage, stream: ScriptedStream): Promise<void> {
    await fence();
    expect(stream.arrived).toEqual([]);
  }

  /** Adds names to a subscription that had some, after `last`. */
  function subscribeMore(stream: ScriptedStream, last: Received, all: readonly string[], added: readonly string[]) {
    if (isDelta) stream.subscribe(last.typeUrl, ...added);
    else stream.send({ typeUrl: last.typeUrl, responseNonce: last.nonce, resourceNames: [...all] });
  }

  test("CDS, EDS, LDS, RDS, secrets, then removals; each gated on the acknowledgement of what it needs", async () => {
    const at = await stage();
    const { cache, open } = at;
    cache.set(
      "proxy",
      snapshot({
        [CLUSTER]: { old: "1" },
        [ENDPOINTS]: { old: "1" },
        [LISTENER]: { l: "1" },
        [ROUTES]: { r: "1" },
        [SECRET]: { s: "1" },
      }),
    );
    const stream = open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    stream.subscribe(ENDPOINTS, "old");
    const endpoints = await stream.accept("old");
    for (const [typeUrl, ...names] of [[LISTENER], [ROUTES, "r"], [SECRET, "s"]] as [string, ...string[]][]) {
      stream.subscribe(typeUrl, ...names);
      await stream.accept(...names);
    }
    cache.set(
      "proxy",
      snapshot({
        [CLUSTER]: { new: "1" },
        [ENDPOINTS]: { new: "1" },
        [LISTENER]: { l: "2" },
        [ROUTES]: { r: "2" },
        [SECRET]: { s: "2" },
      }),
    );

    const clusters = await stream.receive();
    expect(clusters.resources).toEqual(isDelta ? ["new@1"] : ["new@1", "old@1"]);
    await expectSilence(at, stream);
    stream.ack(clusters);
    await expectSilence(at, stream);
    subscribeMore(stream, endpoints, ["old", "new"], ["new"]);
    for (const [expected, ...names] of [["new@1", "old", "new"], ["l@2"]] as [string, ...string[]][]) {
      const received = await stream.receive();
      expect(received).toMatchObject({ resources: [expected], removed: [] });
      await expectSilence(at, stream);
      stream.ack(received, ...names);
    }
    const routes = await stream.receive();
    expect(routes).toMatchObject({ resources: ["r@2"], removed: [] });
    expect((await stream.accept("s")).resources).toEqual(["s@2"]);
    await expectSilence(at, stream);
    stream.ack(routes, "r");
    const removal = await stream.receive();
    expect(removal).toMatchObject(
      isDelta ? { typeUrl: CLUSTER, removed: ["old"] } : { typeUrl: CLUSTER, resources: ["new@1"] },
    );
    await expectSilence(at, stream);
    stream.ack(removal);
    if (isDelta) expect(await stream.accept()).toMatchObject({ typeUrl: ENDPOINTS, removed: ["old"] });
    await expectSilence(at, stream);
    expect(at.server.status()[0]?.types.map(({ state }) => state)).toEqual(Array(5).fill("synced"));
  });

  test("no route goes out before its cluster, even if the client asks for it first", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" } }));
    const stream = at.open(variant);
    stream.subscribe(CLUSTER);
    const clusters = await stream.receive();
    stream.subscribe(ROUTES, "r");
    await expectSilence(at, stream);
    stream.ack(clusters);
    expect((await stream.accept("r")).resources).toEqual(["r@1"]);
  });

  test("a rejected type counts as answered, and nothing waits for what depends on it", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ENDPOINTS]: { a: "1", b: "1" }, [ROUTES]: { r: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [], [ENDPOINTS]: ["a"], [ROUTES]: ["r"] });
    at.cache.set(
      "proxy",
      snapshot({ [CLUSTER]: { a: "1", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" }, [ROUTES]: { r: "2" } }),
    );
    const clusters = await stream.receive();
    await expectSilence(at, stream);
    stream.nack(clusters, "b is not to my taste");
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
  });

  test("types that the client is not subscribed to hold nothing back", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" } }));
    const stream = await connected(at, { [ROUTES]: ["r"] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" }, [ROUTES]: { r: "2" } }));
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
  });

  test("a client that does not answer delays itself until answerMillis have passed, and not again until it answers", async () => {
    const at = await stage({ answerMillis: 500 });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [], [ROUTES]: ["r"] });
    const other = at.open(variant, "other");
    at.cache.set("other", snapshot({ [CLUSTER]: { a: "1" } }));
    other.subscribe(CLUSTER);
    await other.accept();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" }, [ROUTES]: { r: "2" } }));
    expect((await stream.receive()).resources).toEqual(["a@2"]);
    at.cache.set("other", snapshot({ [CLUSTER]: { a: "2" } }));
    expect((await other.accept()).resources).toEqual(["a@2"]);
    at.clock.advance(499);
    await expectSilence(at, stream);
    at.clock.advance(1);
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
    await at.fence();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "3" }, [ROUTES]: { r: "3" } }));
    const unanswered = await stream.receive();
    expect(unanswered.resources).toEqual(["a@3"]);
    expect((await stream.accept("r")).resources).toEqual(["r@3"]);
    stream.ack(unanswered);
    await at.fence();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "4" }, [ROUTES]: { r: "4" } }));
    const clusters = await stream.receive();
    await expectSilence(at, stream);
    stream.ack(clusters);
    expect((await stream.accept("r")).resources).toEqual(["r@4"]);
  });

  test("routes wait for the endpoints of a new cluster that the client has not asked for yet, once in vain", async () => {
    const at = await stage({ answerMillis: 500 });
    const before = { [CLUSTER]: { a: "1" }, [ENDPOINTS]: { a: "1" }, [ROUTES]: { r: "1" } };
    at.cache.set("proxy", snapshot(before));
    const stream = await connected(at, { [CLUSTER]: [], [ENDPOINTS]: ["a"], [ROUTES]: ["r"] });
    at.cache.set(
      "proxy",
      snapshot({ [CLUSTER]: { a: "1", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" }, [ROUTES]: { r: "2" } }),
    );
    await stream.accept();
    await expectSilence(at, stream);
    at.clock.advance(499);
    await expectSilence(at, stream);
    at.clock.advance(1);
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
    const more = { a: "1", b: "1", c: "1" };
    at.cache.set("proxy", snapshot({ [CLUSTER]: more, [ENDPOINTS]: more, [ROUTES]: { r: "3" } }));
    await stream.accept();
    expect((await stream.accept("r")).resources).toEqual(["r@3"]);
  });

  test("after a CDS update EDS is sent again for warming clusters, and only for those", async () => {
    const at = await stage();
    const endpoints = { a: "1", b: "1" };
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" }, [ENDPOINTS]: endpoints }));
    const stream = await connected(at, { [CLUSTER]: [], [ENDPOINTS]: ["a", "b"] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "1" }, [ENDPOINTS]: endpoints }));
    await stream.accept();
    expect(await stream.accept("a", "b")).toMatchObject({ typeUrl: ENDPOINTS, resources: ["a@1"] });
    await expectSilence(at, stream);
  });

  test("a client that acknowledges a cluster only when it is warm gets the endpoints and secrets for that", async () => {
    const at = await stage();
    const before = {
      [CLUSTER]: { a: "1" },
      [ENDPOINTS]: { a: "1", b: "1" },
      [SECRET]: { s: "1" },
      [ROUTES]: { r: "1" },
    };
    at.cache.set("proxy", snapshot(before));
    const stream = await connected(at, { [CLUSTER]: [], [ENDPOINTS]: ["a"], [ROUTES]: ["r"] });
    at.cache.set("proxy", snapshot({ ...before, [CLUSTER]: { a: "2", b: "1" }, [ROUTES]: { r: "2" } }));
    const clusters = await stream.receive();
    const again = await stream.accept("a");
    expect(again.resources).toEqual(["a@1"]);
    subscribeMore(stream, again, ["a", "b"], ["b"]);
    expect((await stream.accept("a", "b")).resources).toEqual(["b@1"]);
    stream.subscribe(SECRET, "s");
    expect((await stream.accept("s")).resources).toEqual(["s@1"]);
    await expectSilence(at, stream);
    stream.ack(clusters);
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
  });

  test("secrets that a new cluster waits for go out before the routes to it", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" }, [SECRET]: { s: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [], [ROUTES]: ["r"] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" }, [ROUTES]: { r: "2" }, [SECRET]: { s: "1" } }));
    const clusters = await stream.receive();
    stream.subscribe(SECRET, "s");
    stream.ack(clusters);
    const secrets = await stream.receive();
    expect(secrets.resources).toEqual(["s@1"]);
    await expectSilence(at, stream);
    stream.ack(secrets, "s");
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
  });

  test("extension configs are not removed while anything refers to them", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [EXTENSION_CONFIG]: { e: "1", f: "1" }, [LISTENER]: { l: "1" } }));
    const stream = await connected(at, { [EXTENSION_CONFIG]: ["e", "f"], [LISTENER]: [] });
    at.cache.set("proxy", snapshot({ [EXTENSION_CONFIG]: { f: "2" }, [LISTENER]: { l: "2" } }));
    const configs = await stream.accept("e", "f");
    expect(configs).toMatchObject({ resources: ["f@2"], removed: [] });
    const listeners = await stream.receive();
    expect(listeners.resources).toEqual(["l@2"]);
    await expectSilence(at, stream);
    stream.ack(listeners);
    if (isDelta) expect(await stream.accept()).toMatchObject({ typeUrl: EXTENSION_CONFIG, removed: ["e"] });
    await expectSilence(at, stream);
  });

  test("a listener goes in the response that brings its successor on the same address", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [LISTENER]: { l: "1" } }));
    const stream = await connected(at, { [LISTENER]: [] });
    at.cache.set("proxy", snapshot({ [LISTENER]: { m: "1" } }));
    expect(await stream.accept()).toMatchObject({ resources: ["m@1"], removed: isDelta ? ["l"] : [] });
  });

  test("removals wait for removalDelayMillis, and what comes back meanwhile is neither removed nor sent", async () => {
    const at = await stage({ removalDelayMillis: 100 });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1", c: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    await at.fence();
    at.clock.advance(99);
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
    await expectSilence(at, stream);
    at.clock.advance(1);
    expect(await stream.accept()).toMatchObject(
      isDelta ? { resources: [], removed: ["c"] } : { resources: ["a@1", "b@1"] },
    );
    await expectSilence(at, stream);
  });

  test("while routes are rejected the clusters that the last good ones lead to are not removed", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { old: "1" }, [ROUTES]: { r: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [], [ROUTES]: ["r"] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { new: "1" }, [ROUTES]: { r: "bad" } }));
    await stream.accept();
    stream.nack(await stream.receive(), "r: no", "r");
    await expectSilence(at, stream);
    at.cache.set("proxy", snapshot({ [CLUSTER]: { new: "2" }, [ROUTES]: { r: "bad" } }));
    expect(await stream.accept()).toMatchObject({ resources: isDelta ? ["new@2"] : ["new@2", "old@1"], removed: [] });
    await expectSilence(at, stream);
    at.cache.set("proxy", snapshot({ [CLUSTER]: { new: "2" }, [ROUTES]: { r: "3" } }));
    await stream.accept("r");
    expect(await stream.accept()).toMatchObject(isDelta ? { removed: ["old"] } : { resources: ["new@2"] });
  });

  test("a rejected resource that goes does not hold its own removal back", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "bad" } }));
    const stream = at.open(variant);
    stream.subscribe(CLUSTER);
    stream.nack(await stream.receive(), "b: no");
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    expect(await stream.accept()).toMatchObject(isDelta ? { removed: ["b"] } : { resources: ["a@1"] });
    await expectSilence(at, stream);
    expect(at.server.status("proxy")[0]?.types[0]?.state).toBe("synced");
  });

  test("changes that never pause do not keep removals waiting", async () => {
    const at = await stage({ removalDelayMillis: 100 });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "0", gone: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [] });
    const received: Received[] = [];
    for (let change = 1; change <= 4; change++) {
      at.cache.set("proxy", snapshot({ [CLUSTER]: { a: `${change}` } }));
      await at.fence();
      while (stream.arrived.length > 0) received.push(await stream.accept());
      await at.fence();
      at.clock.advance(60);
    }
    const isRemoval = ({ resources, removed }: Received) =>
      isDelta ? removed.includes("gone") : !resources.includes("gone@1");
    expect(received.some(isRemoval)).toBe(true);
  });

  test("of the snapshots that come while one is being delivered only the last is sent", async () => {
    const at = await stage();
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" } }));
    const stream = await connected(at, { [CLUSTER]: [], [ROUTES]: ["r"] });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" }, [ROUTES]: { r: "2" } }));
    const clusters = await stream.receive();
    for (const version of ["3", "4", "5"]) {
      at.cache.set("proxy", snapshot({ [CLUSTER]: { a: version }, [ROUTES]: { r: version } }));
    }
    await expectSilence(at, stream);
    stream.ack(clusters);
    expect((await stream.accept("r")).resources).toEqual(["r@2"]);
    expect((await stream.accept()).resources).toEqual(["a@5"]);
    expect((await stream.accept("r")).resources).toEqual(["r@5"]);
  });
});

test("delta: a removal that the client no longer waits for does not hold up later ones", async () => {
  const at = await stage({ removalDelayMillis: 100 });
  at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" }, [SECRET]: { s: "1" } }));
  const stream = at.open("delta");
  stream.subscribe(CLUSTER);
  await stream.accept();
  stream.subscribe(SECRET, "s");
  await stream.accept("s");
  at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" }, [SECRET]: {} }));
  await at.fence();
  stream.send({ typeUrl: SECRET, resourceNamesUnsubscribe: ["s"] });
  await at.fence();
  at.clock.advance(50);
  at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [SECRET]: {} }));
  await at.fence();
  at.clock.advance(50);
  await at.fence();
  at.clock.advance(100);
  expect(await stream.accept()).toMatchObject({ typeUrl: CLUSTER, resources: [], removed: ["b"] });
});

test("delta: what was removed while a client was away goes only after its routes were brought up to date", async () => {
  const at = await stage({ removalDelayMillis: 100 });
  at.cache.set("proxy", snapshot({ [CLUSTER]: { new: "1" }, [ROUTES]: { r: "2" } }));
  const stream = at.open("delta");
  stream.send({ typeUrl: CLUSTER, initialResourceVersions: { old: "1" } });
  expect(await stream.accept()).toMatchObject({ resources: ["new@1"], removed: [] });
  await at.fence();
  stream.send({ typeUrl: ROUTES, resourceNamesSubscribe: ["r"], initialResourceVersions: { r: "1" } });
  const routes = await stream.receive();
  expect(routes.resources).toEqual(["r@2"]);
  at.clock.advance(1_000);
  await at.fence();
  expect(stream.arrived).toEqual([]);
  stream.ack(routes);
  expect((await stream.accept()).removed).toEqual(["old"]);
});

test("delta: endpoints that the client claims to hold are sent all the same for a cluster that changed", async () => {
  const at = await stage();
  at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "1" }, [ENDPOINTS]: { a: "1", b: "1" } }));
  const stream = at.open("delta");
  stream.send({ typeUrl: CLUSTER, initialResourceVersions: { a: "1", b: "1" } });
  expect((await stream.accept()).resources).toEqual(["a@2"]);
  stream.send({
    typeUrl: ENDPOINTS,
    resourceNamesSubscribe: ["a", "b"],
    initialResourceVersions: { a: "1", b: "1" },
  });
  expect((await stream.accept()).resources).toEqual(["a@1"]);
});

test("delta: a virtual host goes in the response that brings its successor for the same domain", async () => {
  const at = await stage();
  at.cache.set("proxy", snapshot({ [VIRTUAL_HOST]: { "r/a": "1" } }));
  const stream = at.open("delta");
  stream.subscribe(VIRTUAL_HOST);
  await stream.accept();
  at.cache.set("proxy", snapshot({ [VIRTUAL_HOST]: { "r/b": "1" } }));
  expect(await stream.accept()).toMatchObject({ resources: ["r/b@1"], removed: ["r/a"] });
});
