// A file of route tests, read and checked: a proxy, a configuration, and a table of requests with expected outcomes.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { WrittenRequest } from "./written-request.js";

export interface TestCase {
  readonly name: string;
  /** Where the case begins in its file. */
  readonly line: number;
  readonly request: WrittenRequest;
  /** Fields of the explanation, or "error": a part of the message that says that there is no such host or port. */
  readonly expect: Readonly<Record<string, unknown>>;
}

export interface TestTable {
  readonly file: string;
  /** Absolute; empty where the command line names it. */
  readonly config: readonly string[];
  readonly namespace?: string;
  readonly proxy?: string;
  readonly gateway?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly tests: readonly TestCase[];
}

const FIELDS = ["config", "namespace", "proxy", "gateway", "labels", "tests"];
const CASE_FIELDS = ["name", "request", "expect"];

/** The table, or everything that is wrong with it, a line of text each. */
export async function readTestTable(file: string): Promise<{ value: TestTable } | { errors: string[] }> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (error) {
    return { errors: [`${file}: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines });
  if (document.errors.length > 0) return { errors: document.errors.map(({ message }) => `${file}: ${message}`) };
  const lineOf = (index: number) => {
    const node = document.getIn(["tests", index], true) as { range?: [number, number, number] } | undefined;
    return node?.range ? lines.linePos(node.range[0]).line : 1;
  };
  return checkTable(file, document.toJS({ maxAliasCount: 0 }), lineOf);
}

function checkTable(
  file: string,
  value: unknown,
  lineOf: (index: number) => number,
): { value: TestTable } | { errors: string[] } {
  if (!isRecord(value) || !Array.isArray(value.tests)) return { errors: [`${file}: a test file has a list "tests"`] };
  const errors = Object.keys(value)
    .filter((name) => !FIELDS.includes(name))
    .map((name) => `${file}: unknown field ${name}; there are ${FIELDS.join(", ")}`);
  const tests = value.tests.flatMap((entry: unknown, index): TestCase[] => {
    const line = lineOf(index);
    const stray = isRecord(entry) ? Object.keys(entry).filter((name) => !CASE_FIELDS.includes(name)) : [];
    for (const name of stray)
      errors.push(`${file}:${line}: unknown field ${name}; there are ${CASE_FIELDS.join(", ")}`);
    if (!isRecord(entry) || !isRecord(entry.request) || !isRecord(entry.expect)) {
      errors.push(`${file}:${line}: a test has a request and an expect, both with fields`);
      return [];
    }
    const name = typeof entry.name === "string" ? entry.name : `test ${index + 1}`;
    return [{ name, line, request: entry.request, expect: entry.expect }];
  });
  if (errors.length > 0) return { errors };
  return { value: { file, tests, config: configOf(file, value.config), ...headOf(value) } };
}

function headOf(value: Readonly<Record<string, unknown>>): Omit<TestTable, "file" | "tests" | "config"> {
  const labels = isRecord(value.labels) ? value.labels : {};
  return {
    labels: Object.fromEntries(Object.entries(labels).map(([name, label]) => [name, String(label)])),
    ...(typeof value.namespace === "string" ? { namespace: value.namespace } : {}),
    ...(typeof value.proxy === "string" ? { proxy: value.proxy } : {}),
    ...(typeof value.gateway === "string" ? { gateway: value.gateway } : {}),
  };
}

/** Paths in a test file are relative to it. */
function configOf(file: string, config: unknown): string[] {
  const paths = Array.isArray(config) ? config : config === undefined ? [] : [config];
  return paths.map((path) => resolve(dirname(file), String(path)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
