// The parts that need no stream: the cache, differences, addresses, turns, and what is kept of proxies that went.
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isLoopback, parseAddress } from "../../controlplane/xds/address.js";
import { Answers } from "../../controlplane/xds/answers.js";
import { SnapshotCache } from "../../controlplane/xds/cache.js";
import { difference } from "../../controlplane/xds/difference.js";
import { CLUSTER } from "../../controlplane/xds/order.js";
import type { Snapshot } from "../../controlplane/xds/snapshot.js";
import { Departed, type ProxyStatus } from "../../controlplane/xds/status.js";
import { Turns, type TurnTaker } from "../../controlplane/xds/turns.js";
import { versionOf } from "../../controlplane/xds/version.js";
import { resource, snapshot } from "./support/resources.js";

test("the cache refuses a snapshot that contradicts itself, and keeps the one before", () => {
  const cache = new SnapshotCache();
  const good = snapshot({ [CLUSTER]: { a: "1" } });
  cache.set("proxy", good);
  const wrong = (name: string, inner = name, version = "1"): Snapshot => ({
    resources: new Map([[CLUSTER, new Map([[name, resource(CLUSTER, inner, version)]])]]),
  });
  expect(() => cache.set("proxy", wrong("a", "b"))).toThrow('"b" lies under the name "a"');
  expect(() => cache.set("proxy", wrong("*"))).toThrow('"*" cannot be a resource\'s name');
  expect(() => cache.set("proxy", wrong(""))).toThrow("cannot be a resource's name");
  expect(() => cache.set("proxy", wrong("a", "a", ""))).toThrow('"a" has no version');
  expect(cache.get("proxy")).toBe(good);
});

test("a watcher hears of its own key's new snapshots until it goes", () => {
  const cache = new SnapshotCache();
  const heard: [string, Snapshot][] = [];
  const first = snapshot({});
  const second = snapshot({});
  const unwatch = cache.watch("a", (...each) => heard.push(each));
  cache.set("b", first);
  cache.set("a", first);
  cache.set("a", first);
  cache.set("a", second);
  unwatch();
  cache.set("a", first);
  expect(heard).toEqual([
    ["a", first],
    ["a", second],
  ]);
  cache.delete("a");
  expect(cache.get("a")).toBeUndefined();
  expect([...cache.keys()]).toEqual(["b"]);
});

test("a difference tells new, changed and removed names, and is worked out once for two maps", () => {
  const before = snapshot({ [CLUSTER]: { same: "1", changed: "1", gone: "1" } }).resources.get(CLUSTER) ?? new Map();
  const after = snapshot({ [CLUSTER]: { same: "1", changed: "2", added: "1" } }).resources.get(CLUSTER) ?? new Map();
  expect(difference(before, after)).toEqual({ changed: ["changed", "added"], removed: ["gone"] });
  expect(difference(before, after)).toBe(difference(before, after));
  expect(difference(after, after)).toEqual({ changed: [], removed: [] });
});

test("the version of resources depends on their names and versions, not on their order", () => {
  const [a, b, c] = [resource(CLUSTER, "a", "1"), resource(CLUSTER, "b", "1"), resource(CLUSTER, "b", "2")];
  const version = (...resources: (typeof a)[]) => versionOf(new Map(resources.map((each) => [each.name, each])));
  expect(version(a, b)).toBe(version(b, a));
  expect(version(a, b)).not.toBe(version(a, c));
  expect(version(a, b)).not.toBe(version(a));
  expect(version()).toMatch(/^[0-9a-f]{16}$/);
});

test("addresses are host:port, and only loopback ones count as loopback", () => {
  expect(parseAddress("127.0.0.1:80")).toEqual({ host: "127.0.0.1", port: 80 });
  expect(parseAddress("[::1]:0")).toEqual({ host: "::1", port: 0 });
  for (const wrong of ["", "host", ":80", "host:", "::1:80", "host:99999", "host:80:80"]) {
    expect(() => parseAddress(wrong)).toThrow("no address");
  }
  expect(["127.0.0.1", "127.1.2.3", "::1", "localhost"].filter((host) => !isLoopback(host))).toEqual([]);
  expect(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "127.evil"].filter(isLoopback)).toEqual([]);
});

test("of proxies that went so many are kept, and for so long", () => {
  const departed = new Departed({ entries: 2, millis: 100 });
  const gone = (key: string, disconnectedAt: number): ProxyStatus => ({
    key,
    nodeId: key,
    peer: "",
    protocol: "delta",
    connectedAt: 0,
    disconnectedAt,
    types: [],
  });
  for (const [key, at] of [
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ] as const)
    departed.add(gone(key, at));
  expect(departed.list(50).map(({ key }) => key)).toEqual(["b", "c"]);
  departed.remove("b");
  expect(departed.list(103).map(({ key }) => key)).toEqual(["c"]);
  expect(departed.list(104)).toEqual([]);
});

test("of responses that are never answered only the last ones are remembered", () => {
  const answers = new Answers();
  for (let index = 0; index < 100; index++) answers.sent(`n${index}`, { version: `${index}`, names: [] }, 0);
  const taken = Array.from({ length: 100 }, (_, index) => answers.take(`n${index}`)?.version);
  expect(taken.filter((version) => version !== undefined)).toEqual(["92", "93", "94", "95", "96", "97", "98", "99"]);
  expect(answers.outstanding).toBe(false);
});

test("an answer to a later response ends the wait for those before it", () => {
  const answers = new Answers();
  answers.sent("n1", { version: "1", names: [] }, 100);
  answers.sent("n2", { version: "2", names: [] }, 100);
  expect(answers.isAwaited(0)).toBe(true);
  expect(answers.take("n2")?.version).toBe("2");
  expect(answers.isAwaited(0)).toBe(false);
  expect(answers.take("n1")).toBeUndefined();
});

test("the resources at fault are those that the client's message has as words of their own", () => {
  const names = ["outbound|80||a.default.svc", "outbound|80|v1|a.default.svc", "a", "a.b"];
  const reject = (message: string) => new Answers().reject({ version: "1", names }, message, 0).names;
  expect(reject("Error adding/updating cluster(s) outbound|80|v1|a.default.svc: a.b. Bad luck")).toEqual([
    "outbound|80|v1|a.default.svc",
    "a.b",
  ]);
  expect(reject("no such thing")).toEqual([]);
  expect(reject("a")).toEqual(["a"]);
});

test("those who want more turns line up behind the others", async () => {
  const turns = new Turns(1, 10, 100);
  const taken: string[] = [];
  const done = new Promise<void>((resolve) => {
    const taker = (name: string, wanted: number): TurnTaker => {
      let left = wanted;
      const self = {
        takeTurn() {
          taken.push(name);
          left--;
          if (left > 0) turns.enter(self);
          if (taken.length === 6) resolve();
          return 1;
        },
      };
      return self;
    };
    for (const each of [taker("a", 3), taker("b", 1), taker("c", 2)]) turns.enter(each);
  });
  await done;
  expect(taken).toEqual(["a", "b", "c", "a", "c", "a"]);
});

test("a round serves so many and no more, however little they write", async () => {
  const turns = new Turns(1_000, 2, 100);
  const served: string[] = [];
  const taker = (name: string): TurnTaker => ({
    takeTurn() {
      served.push(name);
      return 0;
    },
  });
  for (const name of ["a", "b", "c"]) turns.enter(taker(name));
  await new Promise((resolve) => setImmediate(resolve));
  expect(served).toEqual(["a", "b"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(served).toEqual(["a", "b", "c"]);
});

test("sockets are read while somebody always has something to push", async () => {
  const turns = new Turns(1_000, 10, 100);
  let pushing = true;
  const pusher: TurnTaker = {
    takeTurn() {
      if (pushing) turns.enter(pusher);
      return 1_000;
    },
  };
  turns.enter(pusher);
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  const socket = connectTcp((echo.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => {
    pushing = false;
    socket.destroy();
    echo.close();
  });
  socket.write("request");
  expect(String((await once(socket, "data"))[0])).toBe("request");
});

test("what waits to be taken in is counted in bytes until it is", async () => {
  const turns = new Turns(1, 10, 100);
  const taken: number[] = [];
  const take = () => void taken.push(turns.waitingBytes);
  for (const bytes of [300, 20, 1]) turns.request({ bytes, take });
  expect(turns.waitingBytes).toBe(321);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(taken).toEqual([21, 1, 0]);
});

test("while too much is on its way nobody has a turn, and requests are taken in all the same", async () => {
  const turns = new Turns(1_000, 10, 100);
  const seen: string[] = [];
  const round = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const taker = (name: string): TurnTaker => ({ takeTurn: () => seen.push(name) });
  const [slow, other] = [turns.sent(60), turns.sent(60)];
  turns.enter(taker("turn"));
  turns.request({ bytes: 1, take: () => void seen.push("request") });
  await round();
  expect(seen).toEqual(["request"]);
  slow();
  slow();
  await round();
  expect(seen).toEqual(["request", "turn"]);
  other();
  turns.enter(taker("later"));
  await round();
  expect(seen).toEqual(["request", "turn", "later"]);
});

test("after each round it is told that one has passed, with what still waits", async () => {
  const seen: number[] = [];
  const turns: Turns = new Turns(1_000, 10, 100, () => seen.push(turns.waitingBytes));
  const holdUp = () => {
    for (const end = performance.now() + 15; performance.now() < end; );
  };
  turns.request({ bytes: 3, take: holdUp });
  turns.request({ bytes: 4, take: () => {} });
  await expect.poll(() => seen).toEqual([4, 4, 0]);
});
