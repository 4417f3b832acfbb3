// The filter under the host in Node: what it does to requests, and for how long.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ProxyHost } from "./proxy-host.mjs";

const wasm = readFileSync(new URL("../build/filter.wasm", import.meta.url));

test("Requests and responses have the greeting that is configured", () => {
  const { request, response } = new ProxyHost(wasm, { greeting: "good day" }).request({ ":path": "/" });
  assert.equal(request["x-greeted"], "good day");
  assert.equal(response["x-greeting"], "good day");
});

test("Without a configuration there is a greeting all the same", () => {
  assert.equal(new ProxyHost(wasm).request({ ":path": "/" }).response["x-greeting"], "welcome");
});

test("Who is not welcome gets 403", () => {
  const host = new ProxyHost(wasm, { unwelcome: "mallory" });
  assert.deepEqual(host.request({ "x-user": "mallory" }), {
    answer: { status: 403, body: "mallory is not welcome\n" },
  });
  assert.equal(host.request({ "x-user": "alice" }).answer, undefined);
});

test("A hundred thousand requests need no more memory than a thousand", () => {
  const host = new ProxyHost(wasm, { greeting: "g".repeat(1_000) });
  const { memory } = host.exports;
  for (let i = 0; i < 1_000; i++) host.request({ "x-user": "u".repeat(1_000) });
  const before = memory.buffer.byteLength;
  for (let i = 0; i < 100_000; i++) host.request({ "x-user": "u".repeat(1_000) });
  assert.equal(memory.buffer.byteLength, before);
});
