// A policy's status, and what is worth writing in the place of another.
import { expect, test } from "vitest";
import {
  conditionOf,
  difference,
  type Findings,
  type PolicyStatus,
  policyStatus,
  readStatus,
} from "../../controlplane/kube-status/conditions.js";
import { makeViolation } from "../../controlplane/resources/violation-at.js";

const GOOD: Findings = {
  generation: 1,
  own: [],
  mutual: [],
  count: { concerned: 2, acknowledged: 2, rejected: 0 },
  silent: 0,
};
const error = makeViolation("invalid-weight", "error", ["spec", "http", 0], "Too light.", undefined, {});
const warning = makeViolation("unknown-host", "warning", ["spec", "hosts", 1], "Nobody.", undefined, {});

const statusOf = (findings: Partial<Findings>, before?: PolicyStatus, now = "first") =>
  policyStatus({ ...GOOD, ...findings }, before, now);
const told = (findings: Partial<Findings>) =>
  statusOf(findings).conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);

test("An error of the object's own has it not accepted, and not reconciled whatever proxies have", () => {
  expect(told({ own: [error, warning] })).toEqual([
    "Accepted False invalid-weight: spec.http[0]: Too light.",
    "PassedAnalysis False invalid-weight: spec.http[0]: Too light. spec.hosts[1]: Nobody.",
    "Reconciled False NotAccepted: This generation is not served; what proxies have in its place they keep.",
  ]);
});

test("A warning, and a fault beside other objects, are told and keep nothing from being served", () => {
  for (const findings of [{ own: [warning] }, { mutual: [warning] }]) {
    expect(told(findings)).toEqual([
      "Accepted True Accepted: It has no errors.",
      "PassedAnalysis False unknown-host: spec.hosts[1]: Nobody.",
      "Reconciled True Acknowledged: 2 of 2 proxies have acknowledged it.",
    ]);
  }
  expect(statusOf({ mutual: [warning] }).validationMessages).toEqual([
    { type: { code: "unknown-host" }, level: "WARNING", path: "spec.hosts[1]", message: "Nobody." },
  ]);
});

test("It is reconciled when all replicas know it and all proxies have it", () => {
  const reconciled = (concerned: number, acknowledged: number, rejected = 0, silent = 0) => {
    const count = { concerned, acknowledged, rejected, ...(rejected > 0 ? { error: "No." } : {}) };
    return told({ count, silent })[2]?.replace("Reconciled ", "");
  };
  expect(reconciled(0, 0)).toBe("True NoProxies: It concerns none of the proxies.");
  expect(reconciled(4, 3)).toBe("False Propagating: 3 of 4 proxies have acknowledged it.");
  expect(reconciled(2, 2, 0, 1)).toBe(
    "False Propagating: 2 of 2 proxies have acknowledged it. 1 of the other replicas has yet to tell.",
  );
  expect(reconciled(4, 3, 1)).toBe("False Rejected: 3 of 4 proxies have acknowledged it. 1 rejected it: No.");
});

test("A condition keeps the time at which its status became what it is", () => {
  const first = statusOf({});
  const second = statusOf({ generation: 2, own: [error] }, first, "second");
  const third = statusOf({ generation: 3, own: [error, warning] }, second, "third");
  const times = third.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]);
  expect(Object.fromEntries(times)).toEqual({ Accepted: "second", PassedAnalysis: "second", Reconciled: "second" });
  expect(third.conditions.map(({ observedGeneration }) => observedGeneration)).toEqual([3, 3, 3]);
  expect(conditionOf(statusOf({}, third, "fourth"), "Accepted")?.lastTransitionTime).toBe("fourth");
});

test("What says the same is not written, and a number of proxies that all have it matters little", () => {
  const first = statusOf({});
  expect(difference(undefined, first)).toBe("much");
  expect(difference(first, statusOf({}, undefined, "later"))).toBe("none");
  expect(difference(first, statusOf({ count: { concerned: 3, acknowledged: 3, rejected: 0 } }))).toBe("little");
  expect(difference(first, statusOf({ count: { concerned: 3, acknowledged: 2, rejected: 0 } }))).toBe("much");
  expect(difference(first, statusOf({ generation: 2 }))).toBe("much");
  expect(difference(first, statusOf({ mutual: [warning] }))).toBe("much");
  // As the API server gives it back.
  expect(difference(readStatus(JSON.parse(JSON.stringify(first))), first)).toBe("none");
});

test("A status of somebody else's is none of ours", () => {
  for (const status of [undefined, null, {}, { conditions: [{ type: "Ready" }] }, { conditions: "x" }]) {
    expect(readStatus(status)).toBeUndefined();
  }
});

test("Messages are bounded", () => {
  const long = makeViolation("invalid-value", "error", ["spec"], "x".repeat(3_000), undefined, {});
  const status = statusOf({ own: Array.from({ length: 100 }, () => long) });
  expect(status.validationMessages).toHaveLength(20);
  expect(JSON.stringify(status).length).toBeLessThan(30_000);
});
