// The pure parts of rollouts: who gets a version, when the gate holds, and what Envoy's statistics say on the wire.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import {
  assignedVersion,
  boundOf,
  boundOnceKnown,
  hasReached,
  positionOf,
  rankingOf,
} from "../../controlplane/rollout/assignment.js";
import { DirectoryRollouts } from "../../controlplane/rollout/directory-rollouts.js";
import { type CanaryState, DEFAULT_GATE, findFailure } from "../../controlplane/rollout/gate.js";
import { readMetrics } from "../../controlplane/rollout/metrics-stream.js";
import { type Figures, Observations } from "../../controlplane/rollout/observations.js";
import type { Rollout, RolloutState } from "../../controlplane/rollout/plan.js";
import { failureOf, isHeld, NO_FIGURES, type Report } from "../../controlplane/rollout/report.js";
import { forgettable, rolloutsInUse } from "../../controlplane/rollout/store.js";
import { testScope } from "../harness/scope.js";
import { testRolloutStore } from "./store-suite.js";

const scope = testScope();
const proxies = Array.from({ length: 200 }, (_, i) => ({ id: `proxy-${i}`, labels: { app: i % 2 ? "odd" : "even" } }));

function rollout(id: string, version: string, state?: Partial<RolloutState>, selector = {}): Rollout {
  const plan = { id, filter: "f", version, selector, steps: [0.1, 1], holdMillis: 0, at: "", by: "" };
  if (!state) return { plan };
  return { plan, state: { phase: "rolling", step: 0, reached: 0, changedAt: "", ...state } };
}

describe("the assignment", () => {
  it("only ever moves proxies one way while a rollout grows", () => {
    let before = new Set<string>();
    for (const reached of [0.1, 0.5, 0.9, 1]) {
      const now = new Set(
        proxies.filter((proxy) => hasReached(rollout("1", "v", { reached }), proxy)).map(({ id }) => id),
      );
      expect([...before].filter((id) => !now.has(id))).toEqual([]);
      expect(Math.abs(now.size - 200 * reached)).toBeLessThan(30);
      before = now;
    }
    expect(before.size).toBe(200);
  });

  it("begins with other proxies in another rollout", () => {
    const first = (id: string) => [...proxies].sort((a, b) => positionOf(id, a.id) - positionOf(id, b.id))[0]?.id;
    expect(new Set(["1", "2", "3", "4", "5"].map(first)).size).toBeGreaterThan(1);
  });

  it("reaches as many proxies as the share says, rounded up, and at least one", () => {
    for (const id of ["1", "2", "3", "4", "5"]) {
      const reached = boundOf(0.3, [rankingOf(rollout(id, "v").plan, proxies.slice(0, 5))]);
      expect(proxies.slice(0, 5).filter((proxy) => hasReached(rollout(id, "v", { reached }), proxy))).toHaveLength(2);
    }
    const { plan } = rollout("1", "v");
    const few = proxies.slice(0, 3);
    const reached = boundOf(0.01, [rankingOf(plan, few)]);
    expect(few.filter((proxy) => hasReached(rollout("1", "v", { reached }), proxy))).toHaveLength(1);
    expect(boundOf(0.01, [rankingOf(plan, [])])).toBe(0.01);
  });

  it("counts the proxies of several control planes as one, as far as each of them tells", () => {
    const { plan } = rollout("1", "v");
    const [all, one, two] = [proxies, proxies.slice(0, 60), proxies.slice(60)].map((some) => rankingOf(plan, some));
    if (!all || !one || !two) throw new Error("there are three");
    const cut = (most: number) => [one, two].map(({ count, lowest }) => ({ count, lowest: lowest.slice(0, most) }));
    for (const share of [0.01, 0.1, 0.4]) expect(boundOf(share, [one, two])).toBe(boundOf(share, [all]));
    expect(boundOf(0.1, cut(20))).toBe(boundOf(0.1, [all]));
    expect(boundOf(0.4, cut(20))).toBe(0.4);
  });

  it("reaches one of the proxies that come when none was known as the step began, and no further one", () => {
    const late = proxies.filter(({ id }) => positionOf("1", id) > 0.5).slice(0, 3);
    const begun = rollout("1", "v", { reached: 0.1 });
    const bound = (of: Rollout, known: typeof proxies) => boundOnceKnown(of, [rankingOf(of.plan, known)]);
    expect(bound(begun, [])).toBeUndefined();
    const reached = bound(begun, late) ?? 0;
    const widened = rollout("1", "v", { reached });
    expect(late.filter((proxy) => hasReached(widened, proxy))).toHaveLength(1);
    // The one that has it may be gone because of it.
    expect(
      bound(
        widened,
        late.filter((proxy) => !hasReached(widened, proxy)),
      ),
    ).toBeUndefined();
    const early = proxies.filter(({ id }) => positionOf("1", id) < 0.1).slice(0, 1);
    expect(bound(begun, [...early, ...late])).toBeUndefined();
  });

  it("goes by the newest rollout that reached the proxy and was not taken back", () => {
    const [even, odd] = proxies as [(typeof proxies)[0], (typeof proxies)[0]];
    const all = [
      rollout("1", "a", { phase: "completed" }),
      rollout("2", "b", { phase: "completed" }, { app: "odd" }),
      rollout("3", "c", { phase: "rolled-back", reached: 1 }),
      { ...rollout("4", "d", { phase: "completed" }), rollbackBy: "somebody" },
      rollout("5", "e"),
    ];
    expect(assignedVersion(all, "f", even)).toBe("a");
    expect(assignedVersion(all, "f", odd)).toBe("b");
    expect(assignedVersion(all, "other", odd)).toBeUndefined();
  });

  it("keeps what can be gone back to in use", () => {
    const done = (id: string, version: string) => rollout(id, version, { phase: "completed" });
    const inUse = (rollouts: Rollout[]) => rolloutsInUse(rollouts, "f").map(({ plan }) => plan.version);
    expect(inUse([done("1", "a"), done("2", "b"), done("3", "c")])).toEqual(["b", "c"]);
    expect(inUse([rollout("1", "a", { phase: "rolled-back" }), rollout("2", "b")])).toEqual(["b"]);
  });
});

describe("the history", () => {
  it("forgets what has ended and decides nothing any more, beyond the newest", () => {
    const done = (id: string, selector = {}) => rollout(id, "v", { phase: "completed" }, selector);
    const all = [
      done("1"),
      rollout("2", "v", { phase: "rolled-back" }),
      done("3"),
      done("4", { app: "odd" }),
      rollout("5", "v", { phase: "rolled-back" }),
      done("6"),
      rollout("7", "v"),
    ];
    expect(forgettable(all, 0)).toEqual(["1", "2", "5"]);
    expect(forgettable(all, 5)).toEqual(["1", "2"]);
    expect(forgettable(all, 100)).toEqual([]);
    // Without another that went to all proxies, each still decides for those that it selected.
    expect(forgettable([done("1", { app: "odd" }), done("2", { app: "even" }), rollout("3", "v")], 0)).toEqual([]);
  });
});

let directory: string;
testRolloutStore(
  "a directory",
  async (kept) => new DirectoryRollouts(directory, kept),
  async () => {
    directory = await scope.directory();
  },
);

describe("the gate", () => {
  const well: CanaryState = { id: "p", acknowledged: true, restarted: false, silentMillis: 0, waitedMillis: 0 };
  const figures = (requests: number, errors: number, slow = 0, failures = 0): Figures => ({
    requests,
    errors,
    failures,
    durations: new Map([
      [10, requests - slow],
      [35, requests - slow],
      [1_000, requests],
      [Number.POSITIVE_INFINITY, requests],
    ]),
  });
  const half = ({ durations }: Figures) => new Map([...durations].map(([bound, count]) => [bound, count / 2]));
  const judge = (canary: Figures, others: Figures, state: Partial<CanaryState> = {}) =>
    findFailure({ canaries: [{ ...well, ...state }], canary, late: half(canary), others }, DEFAULT_GATE) ?? "holds";

  it.each([
    ["nothing happened", figures(0, 0), figures(0, 0), "holds"],
    ["both fail alike", figures(1_000, 100), figures(9_000, 900), "holds"],
    ["chance explains it", figures(100, 3), figures(1_000, 10), "holds"],
    ["too few requests tell", figures(20, 20), figures(1_000, 0), "holds"],
    ["a third fails", figures(300, 100), figures(1_000, 0), "33.3 % of 300 requests failed"],
    ["more are slow", figures(1_000, 0, 300), figures(1_000, 0, 20), "30.0 % of 1000 requests took longer than 35 ms"],
    ["both are slow", figures(1_000, 0, 50), figures(1_000, 0, 60), "holds"],
    ["the VM failed once", figures(10, 0, 0, 1), figures(0, 0), "VM failed"],
  ])("when %s", (_, canary, others, expected) => {
    expect(judge(canary, others)).toContain(expected);
  });

  /** Nine in ten take so long, and one in a hundred a second. Envoys count by these bounds (bootstrap.yaml). */
  const taking = (millis: number, requests: number): Figures => ({
    ...figures(requests, 0),
    durations: new Map(
      [0.5, 1, 2.5, 5, 10, 15, 25, 35, 50, 75, 100, 150, 250, 350, 500, 750, 1_000, Number.POSITIVE_INFINITY].map(
        (bound) => [
          bound,
          bound >= 1_000 ? requests : bound >= millis ? 0.99 * requests : bound >= 1 ? 0.05 * requests : 0,
        ],
      ),
    ),
  });

  it.each<[string, number, number, number, string]>([
    ["a few milliseconds more", 9, 1, 1_000_000, "holds"],
    ["a few milliseconds more, across a bound", 101, 99, 1_000_000, "holds"],
    ["fourteen times as long, by what some requests show", 14, 1, 1_999, "holds"],
    [
      "twelve times as long, by what many requests show",
      16,
      1,
      2_000,
      "95.0 % of 2000 requests took longer than 15 ms",
    ],
    ["less than three times as long", 14, 6, 2_000, "holds"],
    ["tens of milliseconds more, by what few requests show", 40, 1, 199, "holds"],
    ["tens of milliseconds more", 40, 1, 200, "95.0 % of 200 requests took longer than 35 ms"],
    ["twice as long", 200, 100, 200, "95.0 % of 200 requests took longer than 150 ms"],
  ])("with requests that take %s", (_, canary, others, requests, expected) => {
    expect(judge(taking(canary, requests), taking(others, requests))).toContain(expected);
    expect(judge(taking(canary, requests), taking(others, 199))).toBe("holds");
    expect(judge(taking(others, requests), taking(canary, requests))).toBe("holds");
  });

  it("does not take requests for slow that are so at one moment, however many wait for it to end", () => {
    const [canary, others] = [figures(1_000, 0, 300), figures(1_000, 0)];
    const judgeHalves = (late: Figures) =>
      findFailure({ canaries: [], canary, late: late.durations, others }, DEFAULT_GATE);
    expect(judgeHalves(figures(500, 0, 150))).toContain("30.0 % of 1000 requests took longer than 35 ms");
    for (const late of [
      figures(500, 0),
      figures(500, 0, 300),
      figures(500, 0, 50),
      figures(0, 0),
      figures(1_000, 0, 300),
    ])
      expect(judgeHalves(late)).toBeUndefined();
  });

  it("does not take requests for slow that are counted by bounds that the others have not", () => {
    const { durations, ...counts } = taking(1, 10_000);
    const coarse = new Map(
      [...durations].filter(([bound]) => [0.5, 250, 500, Number.POSITIVE_INFINITY].includes(bound)),
    );
    expect(judge({ ...counts, durations: coarse }, taking(1, 10_000))).toBe("holds");
    expect(judge(taking(300, 10_000), { ...counts, durations: coarse })).toBe("holds");
    expect(judge(taking(600, 10_000), { ...counts, durations: coarse })).toContain("longer than 500 ms");
  });

  it.each<[Partial<CanaryState>, string]>([
    [{ acknowledged: false }, "holds"],
    [{ acknowledged: false, waitedMillis: 10_001 }, "has not acknowledged"],
    [{ rejected: "no such thing" }, "rejected it: no such thing"],
    [{ restarted: true }, "started again"],
    [{ silentMillis: 2_251 }, "told nothing"],
  ])("with a canary that is %o", (state, expected) => {
    expect(judge(figures(0, 0), figures(0, 0), state)).toContain(expected);
  });
});

describe("what several control planes tell", () => {
  const figures = (requests: number, errors: number): Figures => ({
    requests,
    errors,
    failures: 0,
    durations: new Map(),
  });
  const told = (more: Partial<Report>): Report => ({
    step: 0,
    canaries: 1,
    heldMillis: 500,
    canary: NO_FIGURES,
    late: new Map(),
    others: NO_FIGURES,
    before: NO_FIGURES,
    ranking: { count: 1, lowest: [0] },
    ...more,
  });
  const waiting = { heldMillis: undefined } as unknown as Partial<Report>;

  it("is held when each that has proxies of the step has held it for so long, and none speaks of another step", () => {
    expect(isHeld([told({}), told({})], 0, 500)).toBe(true);
    expect(isHeld([told({}), told({ heldMillis: 499 })], 0, 500)).toBe(false);
    expect(isHeld([told({}), told(waiting)], 0, 500)).toBe(false);
    expect(isHeld([told({}), told({ ...waiting, canaries: 0 })], 0, 500)).toBe(true);
    expect(isHeld([told({}), told({ step: -1, canaries: 0 })], 0, 500)).toBe(false);
    expect(isHeld([told({ canaries: 0 })], 0, 0)).toBe(false);
  });

  it("fails by what one says of a proxy, or by what the figures of all come to", () => {
    const judge = (...reports: Report[]) => failureOf(reports, 0, DEFAULT_GATE) ?? "holds";
    expect(judge(told({}), told({ failure: "a rejected it" }))).toBe("a rejected it");
    expect(judge(told({}), told({ failure: "of the step before", step: -1 }))).toBe("holds");
    const [canary, others] = [figures(40, 10), figures(40, 0)];
    expect(judge(told({ canary, others }))).toBe("holds");
    expect(judge(told({ canary }), told({ canary, others }), told({ others }))).toContain(
      "25.0 % of 80 requests failed",
    );
    expect(judge(told({ canary, before: others }), told({ canary, before: others }))).toContain("25.0 % of 80");
  });
});

describe("Envoy's statistics", () => {
  it("are read off the wire, and what is not wanted is passed over", () => {
    const writer = new BinaryWriter();
    family(writer, "http.a.downstream_rq_completed", 3, 42);
    family(writer, "cluster.x.whatever", 3, 7);
    const { values } = readMetrics(writer.finish(), (name) => name.startsWith("http."));
    expect(values).toEqual(new Map([["http.a.downstream_rq_completed", 42]]));
  });

  it("that are garbage throw and read nothing", () => {
    for (const bytes of [[0x12, 0xff], [0x07], [0x0a, 0x05, 1]]) {
      expect(() => readMetrics(Uint8Array.from(bytes), () => true)).toThrow();
    }
  });

  it("begin anew when the Envoy does, and that is noticed", () => {
    const observations = new Observations();
    const report = (at: number, uptime: number, requests: number) =>
      observations.report(
        "p",
        {
          values: new Map([
            ["server.uptime", uptime],
            ["http.a.downstream_rq_completed", requests],
          ]),
          histograms: new Map(),
        },
        at,
      );
    report(1_000, 50, 100);
    report(2_000, 51, 150);
    expect(observations.between(["p"], 1_000, 2_000).requests).toBe(50);
    expect(observations.hasRestarted("p", 0)).toBe(false);
    report(3_000, 1, 5);
    report(4_000, 2, 9);
    expect(observations.hasRestarted("p", 2_500)).toBe(true);
    expect(observations.between(["p"], 0, 4_000).requests).toBe(4);
  });
});

/** Field 2 of a StreamMetricsMessage: a family of one counter (3) or gauge (2). */
function family(writer: BinaryWriter, name: string, kind: number, value: number): void {
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(4, WireType.LengthDelimited).fork();
  writer.tag(kind, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Bit64).double(value);
  writer.join().join().join();
}
