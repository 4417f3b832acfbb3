// How the path to a field is written, and read from the JSON pointers of schema errors.
import type { FieldPath } from "./resource.js";

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** spec.http[0].match[1].headers["x.y"]: a name that is no plain word stands in brackets, quoted. */
export function formatPath(path: FieldPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!PLAIN_NAME.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** Reads a JSON pointer into the steps that lead through `root`, so that array indexes become numbers. */
export function pathOfPointer(pointer: string, root: unknown): FieldPath {
  const steps: (string | number)[] = [];
  let value = root;
  for (const token of pointer.split("/").slice(1)) {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    const step = Array.isArray(value) ? Number(name) : name;
    steps.push(step);
    value = typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[step] : undefined;
  }
  return steps;
}
