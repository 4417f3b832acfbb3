// Telling what was answered from what was only delivered.
import { describe, expect, test } from "vitest";
import { snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";

const CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

describe.each(["delta", "sotw"] as const)("over %s", (variant) => {
  test("a client that lets the time for its answer pass is delivered to, and has not answered until it does", async () => {
    const at = await stage({ answerMillis: 500 });
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const stream = at.open(variant);
    stream.subscribe(CLUSTER);
    await stream.accept();
    await at.fence();
    const told = () => at.events.flatMap((event) => (event.key === "proxy" ? [event.type] : []));
    expect(told().slice(-2)).toEqual(["delivered", "answered"]);
    at.cache.set("proxy", snapshot({ [CLUSTER]: { a: "2" } }));
    const unanswered = await stream.receive();
    await at.fence();
    expect(told().at(-1)).toBe("push");
    at.clock.advance(500);
    await at.fence();
    expect(told().at(-1)).toBe("delivered");
    stream.ack(unanswered);
    await at.fence();
    expect(told().slice(-2)).toEqual(["ack", "answered"]);
  });
});
