// A route test: a request, and what its explanation must say.
import type { Explained } from "./explain.js";

/** A difference between what was expected and what came, by the field's path, as in destinations[0].weight. */
export interface Mismatch {
  readonly path: string;
  readonly expected: unknown;
  /** Undefined where an explanation has no such field at all: an expectation of null would hold whatever came. */
  readonly actual: unknown;
}

/**
 * Compares field by field. What is not expected is not looked at; a list must have the expected length, and "subset" is
 * short for the chosen cluster's subset, "cluster" for the chosen cluster, "status" for the direct response's or the
 * redirect's status.
 */
export function compareExplained(expected: Readonly<Record<string, unknown>>, explained: Explained): Mismatch[] {
  const shorthand = {
    subset: explained.chosen?.split("|")[2] ?? null,
    cluster: explained.chosen,
    status: explained.directResponse?.status ?? explained.redirect?.redirectCode ?? null,
  };
  return compare(expected, { ...explained, ...shorthand }, "");
}

function compare(expected: unknown, actual: unknown, path: string): Mismatch[] {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return [{ path, expected, actual }];
    return expected.flatMap((value, index) => compare(value, actual[index], `${path}[${index}]`));
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof actual !== "object" || actual === null) return [{ path, expected, actual }];
    return Object.entries(expected).flatMap(([name, value]) => {
      const at = path === "" ? name : `${path}.${name}`;
      // Only a redirect leaves out what it does not have.
      if (!Object.hasOwn(actual, name) && path !== "redirect")
        return [{ path: at, expected: value, actual: undefined }];
      return compare(value, (actual as Record<string, unknown>)[name] ?? null, at);
    });
  }
  return Object.is(expected ?? null, actual ?? null) ? [] : [{ path, expected, actual }];
}
