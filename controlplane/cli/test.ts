// `headgate test`: tables of requests and expected outcomes, decided offline.
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { explainRequest } from "../explain/explain.js";
import { requestPorts } from "../explain/find-host.js";
import { compareExplained } from "../explain/route-test.js";
import { createContext } from "../translate/context.js";
import { Memo } from "../translate/memo.js";
import { type CommandDefinition, type CommandIo, exitCode, type OptionValues } from "./command.js";
import { junitXml, type TestResult } from "./junit.js";
import { describeProxy, readMesh, readTrafficFilter } from "./offline.js";
import { readTestTable, type TestCase, type TestTable } from "./test-table.js";
import { readRequest } from "./written-request.js";

export const testCommand: CommandDefinition = {
  name: "test",
  summary: "check what policies do with tables of requests, without a control plane or an Envoy",
  description:
    "A test file names a configuration and a proxy, and lists requests with what headgate explain must say of them:\n\n" +
    "  config: ../policies            # files or directories, relative to the test file\n" +
    "  tests:\n" +
    "  - name: jason gets v2\n" +
    "    request: {authority: reviews, port: 9080, headers: {end-user: jason}}\n" +
    "    expect: {subset: v2}\n\n" +
    "Of the explanation only what is expected is compared. Exits with 0 when all hold, with 1 when one does not.",
  arguments: [{ name: "file", summary: "test files", required: true, variadic: true }],
  options: [
    { flags: "--config <dir>", summary: "in place of the files' own config", repeatable: true },
    { flags: "--namespace <namespace>", summary: "the namespace of objects that name none (default: the file's)" },
    { flags: "--root-namespace <namespace>", summary: "see headgate serve", default: "istio-system" },
    { flags: "-o, --output <format>", summary: "how to print", choices: ["text", "junit"], default: "text" },
    { flags: "--junit <file>", summary: "write JUnit XML there, too" },
  ],

  async run(args, options, io) {
    const results: TestResult[] = [];
    const errors: string[] = [];
    for (const file of args) {
      const table = await readTestTable(resolve(io.cwd, file));
      if ("errors" in table) errors.push(...table.errors);
      else results.push(...(await runTable(table.value, options, io, errors)));
    }
    for (const error of errors) io.stderr.write(`headgate test: ${error}\n`);
    if (typeof options.junit === "string") await writeFile(resolve(io.cwd, options.junit), junitXml(results));
    io.stdout.write(options.output === "junit" ? junitXml(results) : resultsText(results));
    if (errors.length > 0) return exitCode.usage;
    return results.some(({ failures }) => failures.length > 0) ? exitCode.failed : exitCode.ok;
  },
};

function resultsText(results: readonly TestResult[]): string {
  const lines = results.flatMap(({ name, failures }) => [
    `${failures.length === 0 ? "ok  " : "FAIL"} ${name}`,
    ...failures.map((failure) => `       ${failure}`),
  ]);
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  return `${[...lines, `${results.length - failed} passed, ${failed} failed`].join("\n")}\n`;
}

async function runTable(
  table: TestTable,
  options: OptionValues,
  io: CommandIo,
  errors: string[],
): Promise<TestResult[]> {
  const given = ((options.config as readonly string[] | undefined) ?? []).map((path) => resolve(io.cwd, path));
  const paths = given.length > 0 ? given : table.config;
  if (paths.length === 0) {
    errors.push(`${table.file}: name the policies, by config in the file or by --config`);
    return [];
  }
  const namespace = typeof options.namespace === "string" ? options.namespace : (table.namespace ?? "default");
  const { mesh, violations } = await readMesh(paths, namespace, String(options.rootNamespace));
  for (const { severity, code, message, position } of violations) {
    if (severity === "error") errors.push(`${position?.file}:${position?.line}: [${code}] ${message}`);
  }
  const { proxy: node, ...description } = table;
  const proxy = describeProxy(mesh, { ...description, namespace, ...(node === undefined ? {} : { node }) });
  if ("error" in proxy) {
    errors.push(`${table.file}: ${proxy.error}`);
    return [];
  }
  const { filter, wasm } = await readTrafficFilter();
  const ports = requestPorts(createContext(mesh, proxy.value, { trafficFilter: { wasm } }, new Memo()));
  return table.tests.map((test) => {
    const request = readRequest({ gateway: table.gateway, ...test.request }, ports);
    const explained = "error" in request ? request : explainRequest(mesh, proxy.value, request.value, filter, wasm);
    return { file: table.file, name: test.name, failures: failuresOf(test, explained) };
  });
}

function failuresOf(test: TestCase, explained: ReturnType<typeof explainRequest>): string[] {
  const { error: expectedError, ...fields } = test.expect;
  if ("error" in explained) {
    const isExpected = typeof expectedError === "string" && explained.error.includes(expectedError);
    return isExpected ? [] : [`line ${test.line}: ${explained.error}`];
  }
  if (expectedError !== undefined) return [`line ${test.line}: expected an error, and the request is decided`];
  return compareExplained(fields, explained).map(({ path, expected, actual }) =>
    actual === undefined
      ? `line ${test.line}: an explanation has no field ${path}; see headgate explain -o json`
      : `line ${test.line}: ${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`,
  );
}
