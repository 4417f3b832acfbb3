// Where new streams wait until there is time for them: the order, the bounds, and those who do not come in after all.
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { promisify } from "node:util";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { type Visitor, WaitingRoom, type WaitingRoomOptions } from "../../controlplane/xds/waiting-room.js";
import { snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";
import { TurnedClock } from "./support/turned-clock.js";

describe("on its own", () => {
  test("of one address, who comes first is asked in first, and so many at once", () => {
    const { arrive, entered, room } = open({ entering: 2 });
    const [first, second] = ["1", "2", "3", "4"].map((name) => arrive(name));
    expect(entered).toEqual(["1", "2"]);
    room.heard(second as Visitor);
    expect(entered).toEqual(["1", "2"]);
    room.leave(second as Visitor);
    room.leave(first as Visitor);
    expect(entered).toEqual(["1", "2", "3", "4"]);
  });

  test("addresses take turns, so that many from one do not keep another waiting", () => {
    let isBusy = true;
    const { arrive, entered, room } = open({ isBusy: () => isBusy });
    for (const name of ["a1", "a2", "a3"]) arrive(name, "10.0.0.1");
    for (const name of ["b1", "b2"]) arrive(name, "10.0.0.2");
    isBusy = false;
    room.askIn();
    expect(entered).toEqual(["a1", "b1", "a2", "b2", "a3"]);
  });

  test("nobody is asked in while the server is busy", () => {
    let isBusy = true;
    const { arrive, entered, room } = open({ isBusy: () => isBusy });
    arrive("1");
    arrive("2");
    expect(entered).toEqual([]);
    isBusy = false;
    room.askIn();
    expect(entered).toEqual(["1", "2"]);
  });

  test("who takes long to come in no longer keeps the next waiting", () => {
    const { arrive, entered, clock } = open({ entering: 1, slowMillis: 250 });
    for (const name of ["1", "2", "3"]) arrive(name);
    clock.advance(249);
    expect(entered).toEqual(["1"]);
    clock.advance(1);
    expect(entered).toEqual(["1", "2"]);
    clock.advance(250);
    expect(entered).toEqual(["1", "2", "3"]);
  });

  test("beyond the places newcomers are turned away, and a place that is given up is taken again", () => {
    const { arrive, turnedAway, room } = open({ entering: 1, places: 2 });
    const silent = arrive("silent");
    const waiting = arrive("waiting");
    arrive("third");
    expect(turnedAway).toEqual(["third"]);
    room.leave(waiting);
    room.leave(waiting);
    arrive("fourth");
    arrive("fifth");
    expect(turnedAway).toEqual(["third", "fifth"]);
    room.heard(silent);
    arrive("sixth");
    arrive("seventh");
    expect(turnedAway).toEqual(["third", "fifth", "seventh"]);
  });

  test("who was asked in and says nothing makes way for a newcomer, the earliest first, and not before it is slow", () => {
    const { arrive, entered, turnedAway, room, clock } = open({ entering: 2, places: 2, slowMillis: 250 });
    const heard = arrive("heard");
    room.heard(heard);
    arrive("silent 1");
    clock.advance(100);
    room.leave(heard);
    arrive("silent 2");
    clock.advance(149);
    arrive("too early");
    expect(turnedAway).toEqual(["too early"]);
    clock.advance(1);
    arrive("newcomer");
    expect(turnedAway).toEqual(["too early", "silent 1"]);
    expect(entered).toEqual(["heard", "silent 1", "silent 2", "newcomer"]);
  });

  test("a full room takes the last of the address with the most out for another one, and out for nobody of its own", () => {
    const { arrive, turnedAway } = open({ places: 4, isBusy: () => true });
    for (const name of ["a1", "a2", "a3", "a4"]) arrive(name, "10.0.0.1");
    arrive("b1", "10.0.0.2");
    expect(turnedAway).toEqual(["a4"]);
    arrive("b2", "10.0.0.2");
    expect(turnedAway).toEqual(["a4", "a3"]);
    arrive("a5", "10.0.0.1");
    arrive("b3", "10.0.0.2");
    expect(turnedAway).toEqual(["a4", "a3", "a5", "b3"]);
    arrive("c1", "10.0.0.3");
    expect(turnedAway).toEqual(["a4", "a3", "a5", "b3", "a2"]);
  });

  test("who waits too long is turned away, and who was asked in no longer waits", () => {
    let isBusy = true;
    const { arrive, turnedAway, room, clock } = open({ waitMillis: 1_000, isBusy: () => isBusy });
    arrive("early");
    clock.advance(500);
    arrive("late");
    clock.advance(500);
    expect(turnedAway).toEqual(["early"]);
    isBusy = false;
    room.askIn();
    clock.advance(1_000);
    expect(turnedAway).toEqual(["early"]);
  });
});

describe("in the server", () => {
  test("streams are let in in the order in which they came, but for one that went meanwhile", async () => {
    const { door, letIn, cache, open: openStream, server } = await stageWithDoor();
    cache.set("second", snapshot({ [CLUSTER]: { a: "1" } }));
    const [first, gone, second] = ["first", "gone", "second"].map((id) => openStream("delta", id));
    for (const stream of [first, gone, second]) stream?.subscribe(CLUSTER);
    await expect.poll(() => letIn).toEqual(["first"]);
    await expect.poll(() => server.waitingStreams).toBe(2);
    gone?.cancel();
    await expect.poll(() => server.waitingStreams).toBe(1);
    door.open();
    expect((await second?.accept())?.resources).toEqual(["a@1"]);
    expect(letIn).toEqual(["first", "second"]);
    expect(server.status().map(({ key }) => key)).toEqual(["first", "second"]);
  });

  test("beyond maxWaitingStreams new streams end with RESOURCE_EXHAUSTED, and so does one that waits longer than waitMillis", async () => {
    const { door, letIn, clock, open: openStream } = await stageWithDoor({ maxWaitingStreams: 1, waitMillis: 200 });
    const first = openStream("delta", "first");
    first.subscribe(CLUSTER);
    await expect.poll(() => letIn).toEqual(["first"]);
    const waiting = openStream("delta", "waiting");
    waiting.subscribe(CLUSTER);
    const turnedAway = openStream("delta", "turned away");
    turnedAway.subscribe(CLUSTER);
    expect((await turnedAway.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    clock.advance(200);
    expect((await waiting.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    door.open();
    expect(letIn).toEqual(["first"]);
  });

  test("nothing is read of a stream that waits beyond what its window holds", async () => {
    const { door, letIn, address, open: openStream } = await stageWithDoor();
    openStream("delta", "first").subscribe(CLUSTER);
    await expect.poll(() => letIn).toEqual(["first"]);
    const session = connectHttp2(`http://${address}`);
    onTestFinished(() => session.destroy());
    const large = session.request({
      ":method": "POST",
      ":path": "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      "content-type": "application/grpc",
      te: "trailers",
    });
    await once(session, "connect");
    // One message of a million bytes.
    large.on("error", () => {}).write(Buffer.concat([Buffer.from([0, 0, 0x0f, 0x42, 0x40]), Buffer.alloc(1_000_000)]));
    const ping = promisify<void>((done) => session.ping((error) => done(error)));
    for (let round = 0; round < 10; round++) await ping();
    expect(large.writableLength).toBeGreaterThan(0);
    door.open();
    await expect.poll(() => large.writableLength).toBe(0);
  });

  test("streams that say nothing give their places to those who come after them", async () => {
    const { cache, clock, open: openStream } = await stage({ limits: { maxWaitingStreams: 2 } });
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const silent = [openStream("delta", "silent"), openStream("delta", "silent")];
    const early = openStream("delta");
    expect((await early.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    clock.advance(500);
    const stream = openStream("delta");
    stream.subscribe(CLUSTER);
    expect((await stream.accept()).resources).toEqual(["a@1"]);
    expect((await silent[0]?.ended)?.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

/** A room of its own, and what became of whom. */
function open(options: Partial<WaitingRoomOptions>) {
  const clock = new TurnedClock();
  const room = new WaitingRoom({
    places: 100,
    entering: 100,
    slowMillis: 1_000,
    waitMillis: 60_000,
    isBusy: () => false,
    clock,
    ...options,
  });
  const entered: string[] = [];
  const turnedAway: string[] = [];
  const arrive = (name: string, address = "10.0.0.1"): Visitor => {
    const visitor = {
      address,
      enter: () => void entered.push(name),
      turnAway: () => void turnedAway.push(name),
    };
    room.arrive(visitor);
    return visitor;
  };
  return { room, clock, entered, turnedAway, arrive };
}

/** A server that lets one stream in at a time, the first of them once the door is opened. */
async function stageWithDoor(limits: { maxWaitingStreams?: number; waitMillis?: number } = {}) {
  const letIn: string[] = [];
  let openDoor = () => {};
  const opened = new Promise<void>((resolve) => {
    openDoor = resolve;
  });
  const staged = await stage({
    limits: { maxEnteringStreams: 1, ...limits },
    onConnect: async ({ id }) => {
      letIn.push(id);
      await opened;
      return { key: id };
    },
  });
  onTestFinished(openDoor);
  return { ...staged, letIn, door: { open: openDoor } };
}
