// What only the incremental variant does.
import { expect, test } from "vitest";
import { CLUSTER, ENDPOINTS, ROUTES, VIRTUAL_HOST } from "../../controlplane/xds/order.js";
import { resource, snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";

test("a subscription change counts even on a stale nonce", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ROUTES]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(ROUTES, "a");
  await stream.accept();
  stream.send({ typeUrl: ROUTES, responseNonce: "long gone", resourceNamesSubscribe: ["b"] });
  expect((await stream.accept()).resources).toEqual(["b@1"]);
});

test("no names at first means wildcard, and the first answer comes even if it is empty", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({}));
  const stream = open("delta");
  stream.subscribe(VIRTUAL_HOST);
  expect(await stream.accept()).toMatchObject({ resources: [], removed: [] });
  cache.set("proxy", snapshot({ [VIRTUAL_HOST]: { a: "1" } }));
  expect((await stream.accept()).resources).toEqual(["a@1"]);
});

test("names that follow a wildcard without names leave it standing until * is unsubscribed", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  await stream.accept();
  stream.subscribe(CLUSTER, "a");
  expect((await stream.accept()).resources).toEqual(["a@1"]);
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "2" } }));
  expect((await stream.accept()).resources).toEqual(["b@2"]);
  stream.send({ typeUrl: CLUSTER, resourceNamesUnsubscribe: ["*"] });
  await fence();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "3", b: "3" } }));
  expect((await stream.accept()).resources).toEqual(["a@3"]);
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("once names were given, none means unsubscribe", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER, "a");
  await stream.accept();
  stream.send({ typeUrl: CLUSTER, resourceNamesUnsubscribe: ["a"] });
  stream.send({ typeUrl: CLUSTER });
  await fence();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "2", b: "2" } }));
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("* works beside names, and unsubscribing a name under it is answered with the resource or its removal", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER, "*", "a", "nowhere");
  const first = await stream.accept();
  expect([...first.resources].sort()).toEqual(["a@1", "b@1"]);
  expect(first.removed).toEqual(["nowhere"]);
  stream.send({ typeUrl: CLUSTER, resourceNamesUnsubscribe: ["a", "nowhere"] });
  expect(await stream.accept()).toMatchObject({ resources: ["a@1"], removed: ["nowhere"] });
});

test("a name subscribed again is sent again", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(ENDPOINTS, "a", "b");
  await stream.accept();
  stream.subscribe(ENDPOINTS, "a");
  expect((await stream.accept()).resources).toEqual(["a@1"]);
});

test("no name comes twice in a response, however often it was asked for", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1" } }));
  const stream = open("delta");
  stream.subscribe(ENDPOINTS, "*", "a", "a", "gone", "gone");
  expect(await stream.accept()).toMatchObject({ resources: ["a@1"], removed: ["gone"] });
  stream.subscribe(ENDPOINTS, "a", "*", "gone", "a", "gone");
  expect(await stream.accept()).toMatchObject({ resources: ["a@1"], removed: ["gone"] });
});

test("a name asked for while another answer is outstanding is answered without waiting for that", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { a: "1", b: "1" } }));
  const stream = open("delta");
  stream.subscribe(ENDPOINTS, "a");
  await stream.receive();
  stream.subscribe(ENDPOINTS, "b");
  expect((await stream.receive()).resources).toEqual(["b@1"]);
});

test("an unknown name is answered as removed at once, and pushed when it comes into being", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({ [ROUTES]: {} }));
  const stream = open("delta");
  stream.subscribe(ROUTES, "a");
  expect(await stream.accept()).toMatchObject({ resources: [], removed: ["a"] });
  cache.set("proxy", snapshot({ [ROUTES]: { a: "1" } }));
  expect(await stream.accept()).toMatchObject({ resources: ["a@1"], removed: [] });
});

test("a type of the order that the snapshot lacks has no resources, so its names are answered as removed", async () => {
  const { cache, open } = await stage();
  cache.set("proxy", snapshot({}));
  const stream = open("delta");
  stream.subscribe(ROUTES, "a");
  expect((await stream.accept()).removed).toEqual(["a"]);
});

test("unsubscribing an unknown name is ignored", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [ROUTES]: { a: "1" } }));
  const stream = open("delta");
  stream.subscribe(ROUTES, "a");
  await stream.accept();
  stream.send({ typeUrl: ROUTES, resourceNamesUnsubscribe: ["never heard of"] });
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("a reconnect with initial_resource_versions sends only what differs, and what was removed meanwhile", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [CLUSTER]: { same: "1", changed: "2", added: "1" } }));
  const stream = open("delta");
  stream.send({ typeUrl: CLUSTER, initialResourceVersions: { same: "1", changed: "1", gone: "1" } });
  const changes = await stream.accept();
  expect([...changes.resources].sort()).toEqual(["added@1", "changed@2"]);
  expect(changes.removed).toEqual([]);
  expect(await stream.accept()).toMatchObject({ resources: [], removed: ["gone"] });
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("a reconnect with names and initial_resource_versions sends only what differs", async () => {
  const { cache, open, fence } = await stage();
  cache.set("proxy", snapshot({ [ENDPOINTS]: { same: "1", changed: "2" } }));
  const stream = open("delta");
  stream.send({
    typeUrl: ENDPOINTS,
    resourceNamesSubscribe: ["same", "changed", "gone"],
    initialResourceVersions: { same: "1", changed: "1", gone: "1", uncalled: "1" },
  });
  expect(await stream.accept()).toMatchObject({ resources: ["changed@2"], removed: [] });
  expect(await stream.accept()).toMatchObject({ resources: [], removed: ["gone"] });
  await fence();
  expect(stream.arrived).toEqual([]);
});

test("an error stays while others of its type are acknowledged, and goes with the resource at fault", async () => {
  const { cache, open, server, fence } = await stage();
  cache.set("proxy", snapshot({ [ROUTES]: { a: "1", b: "bad" } }));
  const stream = open("delta");
  stream.subscribe(ROUTES, "a", "b");
  stream.nack(await stream.receive(), "b: no");
  cache.set("proxy", snapshot({ [ROUTES]: { a: "2", b: "bad" } }));
  expect((await stream.accept()).resources).toEqual(["a@2"]);
  await fence();
  expect(server.status()[0]?.types).toMatchObject([{ state: "rejected", error: { names: ["b"] } }]);
  stream.send({ typeUrl: ROUTES, resourceNamesUnsubscribe: ["b"] });
  await fence();
  expect(server.status()[0]?.types).toMatchObject([{ state: "synced", names: ["a"] }]);
});

test("a change too large for one response goes out in several, each after the last was acknowledged", async () => {
  const { cache, open, fence } = await stage({ maxResponseBytes: 1 });
  cache.set("proxy", snapshot({ [CLUSTER]: { a: "1", b: "1" }, [ROUTES]: { r: "1" } }));
  const stream = open("delta");
  stream.subscribe(CLUSTER);
  stream.subscribe(ROUTES, "r");
  const first = await stream.receive();
  expect(first.resources).toEqual(["a@1"]);
  await fence();
  expect(stream.arrived).toEqual([]);
  stream.ack(first);
  expect((await stream.accept()).resources).toEqual(["b@1"]);
  expect((await stream.accept()).resources).toEqual(["r@1"]);
});

test("virtual hosts go out in one response, however large, for a client takes the first for all there are", async () => {
  const { cache, open } = await stage({ maxResponseBytes: 1 });
  const hosts = (version: string) =>
    Object.fromEntries(Array.from({ length: 200 }, (_, number) => [`80/h${number}`, version]));
  const all = (version: string) => Object.keys(hosts(version)).map((name) => `${name}@${version}`);
  cache.set("proxy", snapshot({ [VIRTUAL_HOST]: hosts("1") }));
  const stream = open("delta");
  stream.subscribe(VIRTUAL_HOST);
  expect((await stream.accept()).resources).toEqual(all("1"));
  cache.set("proxy", snapshot({ [VIRTUAL_HOST]: hosts("2") }));
  expect((await stream.accept()).resources).toEqual(all("2"));
});

test("a resource's TTL heartbeat is a resource without body and the same version", async () => {
  const { cache, open, clock, fence } = await stage();
  const lasting = resource(ROUTES, "lasting", "1");
  const passing = resource(ROUTES, "passing", "1", 10_000);
  const routes = new Map([lasting, passing].map((each) => [each.name, each]));
  cache.set("proxy", { resources: new Map([[ROUTES, routes]]) });
  const stream = open("delta");
  stream.subscribe(ROUTES, "lasting", "passing");
  expect((await stream.accept()).ttls).toEqual([undefined, 10_000]);
  await fence();
  for (let beat = 0; beat < 3; beat++) {
    clock.advance(4_999);
    await fence();
    expect(stream.arrived).toEqual([]);
    clock.advance(1);
    expect(await stream.accept()).toMatchObject({ resources: ["passing@1~"], ttls: [10_000] });
    await fence();
  }
});
