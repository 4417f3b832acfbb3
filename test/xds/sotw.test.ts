// What only the state-of-the-world variant does.
import { expect, test } from "vitest";
import { CLUSTER, ENDPOINTS, LISTENER, ROUTES } from "../../controlplane/xds/order.js";
import { resource, snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";

test("a stale nonce gets no response", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
  const stream = open("sotw");
  stream.subscribe(ENDPOINTS, "a");
  const first = await stream.accept("a");
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "2", b: "1" } }));
  const second = await stream.receive();
  stream.ack(first, "a", "b");
  await fence();
  expect(stream.arrived).toEqual([]);
  stream.ack(second, "a", "b");
  expect((await stream.accept("a", "b")).resources).toEqual(["b@1"]);
});

test("LDS and CDS responses are complete; other types may be partial", async () => {
  const { cache, open } = await stage();
  cache.set(
    "proxy",
    snapshot({ [CLUSTER]: { a: "1", b: "1" }, [LISTENER]: { l: "1", m: "1" }, [ROUTES]: { r: "1", s: "1" } }),
  );
  const stream = open("sotw");
  stream.subscribe(CLUSTER);
  await stream.accept();
  stream.subscribe(LISTENER);
  await stream.accept();
  stream.subscribe(ROUTES, "r", "s");
  await stream.accept("r", "s");
  cache.set(
    "proxy",
    snapshot({ [CLUSTER]: { a: "1", b: "2" }, [LISTENER]: { l: "1", m: "2" }, [ROUTES]: { r: "1", s: "2" } }),
  );
  expect((await stream.accept()).resources).toEqual(["a@1", "b@2"]);
  expect((await stream.accept()).resources).toEqual(["l@1", "m@2"]);
  expect((await stream.accept("r", "s")).resources).toEqual(["s@2"]);
});

test("no name comes twice in a response, however often it was asked for", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" }, [ROUTES]: { r: "1" } }));
  const stream = open("sotw");
  stream.subscribe(CLUSTER, "*", "a", "a");
  expect((await stream.accept("*", "a")).resources).toEqual(["a@1"]);
  stream.subscribe(ROUTES, "r", "r");
  expect((await stream.accept("r", "r")).resources).toEqual(["r@1"]);
});

test("no names at first means wildcard; once names were given, none means unsubscribe", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
  const stream = open("sotw");
  stream.subscribe(CLUSTER);
  const all = await stream.receive();
  expect(all.resources).toEqual(["a@1", "b@1"]);
  stream.ack(all, "a");
  const one = await stream.receive();
  expect(one.resources).toEqual(["a@1"]);
  stream.ack(one);
  await fence();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "2" } }));
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("* works beside names", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [LISTENER]: { a: "1", b: "1" } }));
  const stream = open("sotw");
  stream.subscribe(LISTENER, "*", "a");
  const all = await stream.receive();
  expect(all.resources).toEqual(["a@1", "b@1"]);
  stream.ack(all, "a");
  cache.set("proxy", snapshot({ [LISTENER]: { a: "2", b: "2" } }));
  expect((await stream.accept("a")).resources).toEqual(["a@2"]);
});

test("CDS and LDS are answered even if they are empty, so that a client can start", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({}));
  const stream = open("sotw");
  stream.subscribe(CLUSTER);
  expect((await stream.accept()).resources).toEqual([]);
  stream.subscribe(LISTENER, "x");
  expect((await stream.accept("x")).resources).toEqual([]);
});

test("a newly named resource is sent alone, and one that does not exist yet when it comes into being", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1" } }));
  const stream = open("sotw");
  stream.subscribe(ENDPOINTS, "a");
  const first = await stream.accept("a");
  stream.send({ typeUrl: ENDPOINTS, responseNonce: first.nonce, resourceNames: ["a", "b"] });
  await fence();
  expect(stream.arrived).toEqual([]);
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
  expect((await stream.accept("a", "b")).resources).toEqual(["b@1"]);
});

test("a name given up and named again is sent again", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
  const stream = open("sotw");
  stream.subscribe(ENDPOINTS, "a", "b");
  const first = await stream.accept("a", "b");
  stream.send({ typeUrl: ENDPOINTS, responseNonce: first.nonce, resourceNames: ["b"] });
  stream.send({ typeUrl: ENDPOINTS, responseNonce: first.nonce, resourceNames: ["a", "b"] });
  expect((await stream.accept("a", "b")).resources).toEqual(["a@1"]);
});

test("a TTL heartbeat goes out in a wrapper, to clients that know wrappers", async () => {
  const { cache, open, clock, fence } = await stage();
  const passing = resource(ROUTES, "passing", "1", 10_000);
  cache.set("proxy", { resources: new Map([[ROUTES, new Map([["passing", passing]])]]) });
  const able = open("sotw");
  const node = { id: "proxy", clientFeatures: ["xds.config.resource-in-sotw"] };
  able.send({ node, typeUrl: ROUTES, resourceNames: ["passing"] });
  const first = await able.accept("passing");
  expect(first).toMatchObject({ resources: ["passing@1"], ttls: [10_000] });
  const unable = open("sotw");
  unable.subscribe(ROUTES, "passing");
  expect(await unable.accept("passing")).toMatchObject({ resources: ["passing@1"], ttls: [undefined] });
  await fence();
  clock.advance(5_000);
  const beat = await able.accept("passing");
  expect(beat).toMatchObject({ resources: [`passing@${first.version}~`], version: first.version, ttls: [10_000] });
  await fence();
  expect(unable.arrived).toEqual([]);
});

test("clusters with a TTL are sent again as a whole, because a response without them would remove them", async () => {
  const { cache, open, clock, fence } = await stage();
  const clusters = [resource(CLUSTER, "a", "1", 10_000), resource(CLUSTER, "b", "1")];
  cache.set("proxy", { resources: new Map([[CLUSTER, new Map(clusters.map((each) => [each.name, each]))]]) });
  const stream = open("sotw");
  stream.send({ node: { id: "proxy", clientFeatures: ["xds.config.resource-in-sotw"] }, typeUrl: CLUSTER });
  await stream.accept();
  await fence();
  clock.advance(5_000);
  expect((await stream.accept()).resources).toEqual(["a@1", "b@1"]);
});
