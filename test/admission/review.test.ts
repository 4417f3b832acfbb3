// What is made of a review, and of what is found in its object.
import { describe, expect, test } from "vitest";
import { objectToCheck, parseReview, reviewAnswer } from "../../controlplane/admission/review.js";
import { makeViolation } from "../../controlplane/resources/violation-at.js";

const review = (request: object) => ({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
const fault = (severity: "error" | "warning", message = "It is wrong.") =>
  makeViolation("invalid-value", severity, ["spec", "http", 0], message, undefined, {});

describe("a review", () => {
  test("is read where it is one, and nothing else is", () => {
    const object = { kind: "VirtualService" };
    expect(parseReview(review({ uid: "u", namespace: "n", object }))).toEqual({ uid: "u", namespace: "n", object });
    const others = [
      undefined,
      [],
      "x",
      review({}),
      { ...review({ uid: "u" }), apiVersion: "admission.k8s.io/v1beta1" },
    ];
    for (const body of others) expect(parseReview(body)).toBeUndefined();
  });

  test("has nothing to check in an object that is gone or going", () => {
    expect(objectToCheck({ uid: "u", namespace: "n" })).toBeUndefined();
    const going = { metadata: { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" } };
    expect(objectToCheck({ uid: "u", namespace: "n", object: going })).toBeUndefined();
  });

  test("gives a name to an object whose name is still to be made up", () => {
    const object = { metadata: { generateName: "a-" } };
    expect(objectToCheck({ uid: "u", namespace: "n", object })).toMatchObject({ metadata: { name: "a-00000" } });
  });

  test("is allowed with warnings, cut to what clients are told", () => {
    const long = fault("warning", "x".repeat(400));
    const { response } = reviewAnswer("u", [fault("warning"), long]) as { response: { warnings: string[] } };
    expect(response).toMatchObject({ uid: "u", allowed: true });
    expect(response).not.toHaveProperty("status");
    expect(response.warnings[0]).toBe("[invalid-value] spec.http[0]: It is wrong.");
    expect(response.warnings[1]).toHaveLength(256);
  });

  test("is refused with each error and its field, up to a number", () => {
    const { response } = reviewAnswer(
      "u",
      Array.from({ length: 22 }, () => fault("error")),
    ) as {
      response: { allowed: boolean; status: { code: number; message: string; details: { causes: object[] } } };
    };
    expect(response.allowed).toBe(false);
    expect(response.status.code).toBe(400);
    expect(response.status.message).toMatch(
      /^\[invalid-value\] spec\.http\[0\]: It is wrong\.\n[\s\S]*and 2 more faults$/,
    );
    expect(response.status.details.causes).toHaveLength(20);
    expect(response.status.details.causes[0]).toEqual({
      reason: "invalid-value",
      field: "spec.http[0]",
      message: "It is wrong.",
    });
  });
});
