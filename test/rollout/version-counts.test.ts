// Which versions proxies run, in sum, and as control planes tell it to each other.
import { expect, it } from "vitest";
import { decodeCounts, encodeCounts, sumCounts, type VersionCount } from "../../controlplane/rollout/version-counts.js";
import { countsOf, type FilterView } from "../../controlplane/rollout/view.js";

const count = (filter: string, running: string, assigned: string, proxies: number): VersionCount => ({
  ...{ filter, running, assigned, proxies },
});

it("Proxies that run and should run the same are counted together, whoever tells of them", () => {
  const told = [count("f", "1", "2", 3), count("f", "2", "2", 1), count("g", "1", "2", 1), count("f", "1", "2", 4)];
  expect(sumCounts(told)).toEqual([count("f", "1", "2", 7), count("f", "2", "2", 1), count("g", "1", "2", 1)]);
  expect(sumCounts(told.toReversed())).toEqual(sumCounts(told));
});

it("Counts are read as they were written, and anything else is none", () => {
  const counts = [count("f", "built-in", "1.0", 5_000), count("g", "-", "2", 1)];
  expect(decodeCounts(encodeCounts(counts))).toEqual(counts);
  expect(decodeCounts("[]")).toEqual([]);
  for (const text of ["", "{}", "null", "[1]", '[["f","1","2"]]', '[["f","1","2",-1]]', '[["f",1,"2",1]]'])
    expect(decodeCounts(text), text).toBeUndefined();
});

it("A view's proxies are counted where there ever was a rollout", () => {
  const plan = { id: "000001", filter: "f", version: "2", selector: {}, steps: [1], holdMillis: 0, at: "", by: "" };
  const proxy = (id: string, running: string) => ({ id, assigned: "2", running });
  const view: FilterView = {
    filter: "f",
    proxies: [proxy("a", "1"), proxy("b", "2"), proxy("c", "2")],
    others: [{ filter: "g", proxies: [proxy("a", "-")] }],
    elsewhere: [count("f", "1", "1", 9)],
    rollouts: [{ plan }],
  };
  expect(countsOf(view)).toEqual([count("f", "1", "2", 1), count("f", "2", "2", 2), count("g", "-", "2", 1)]);
  expect(countsOf({ ...view, rollouts: [] })).toEqual([]);
});
