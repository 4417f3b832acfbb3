// Traffic while rules lead to clusters that did not exist a moment before; `npm run bench:ads -- --repoints 1000` does more.
import { expect, test } from "vitest";
import { testScope } from "../harness/scope.js";
import { repoint } from "./repointing.js";

const scope = testScope();

test("40 repoints, each to a cluster that is new, fail no request and send none to the wrong backend", async () => {
  const { requests, failed, misrouted, millis } = await repoint(scope, { repoints: 40, requestsPerSecond: 300 });
  expect(failed).toEqual([]);
  expect(misrouted).toEqual([]);
  expect(millis).toHaveLength(40);
  expect(requests).toBeGreaterThan(40);
});
