// The protocol's rules that both variants share.
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { CLUSTER } from "../../controlplane/xds/order.js";
import { snapshot } from "./support/resources.js";
import { stage } from "./support/stage.js";

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("every response has a nonce, and nonces do not survive a stream", async () => {
    const { cache, open } = await stage();
    cache.set("proxy", snapshot({ [CLUSTER]: { a: "1" } }));
    const nonces = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const stream = open(variant);
      stream.subscribe(CLUSTER);
      const first = await stream.accept();
      cache.set("proxy", snapshot({ [CLUSTER]: { a: `${round + 2}` } }));
      const second = await stream.accept();
      nonces.add(first.nonce).add(second.nonce);
      stream.cancel();
    }
    expect(nonces.size).toBe(4);
    expect(nonces).not.toContain("");
  });

  test("a stream whose first request has no node ends with INVALID_ARGUMENT", async () => {
    const { open } = await stage();
    const stream = open(variant, "");
    stream.subscribe(CLUSTER);
    expect((await stream.ended).code).toBe(status.INVALID_ARGUMENT);
  });
});
