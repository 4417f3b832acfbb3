// Checks a module before it can go anywhere: what it is, what it asks of Envoy, and whether it starts and answers.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Ajv } from "ajv";
import { type Outcome, refuse } from "./fault.js";
import { ABI_MARKERS, offersCall } from "./host-calls.js";
import type { TrialOutcome, TrialRequest } from "./trial.js";
import { initialPages, isWasm, PAGE_BYTES, readSections, withMemoryLimit } from "./wasm-sections.js";

/** Bytes and milliseconds. */
export interface CheckLimits {
  readonly moduleBytes: number;
  readonly memoryBytes: number;
  /** For the start and the smoke requests together. */
  readonly trialMillis: number;
}

export const DEFAULT_LIMITS: CheckLimits = { moduleBytes: 16 << 20, memoryBytes: 256 << 20, trialMillis: 15_000 };

/** The custom section in which a module may carry the JSON schema of its configuration. */
export const SCHEMA_SECTION = "headgate.configuration-schema";

export interface CheckRequest {
  readonly wasm: Uint8Array;
  /** JSON schema text that came beside the module; it counts before the module's own. */
  readonly schema?: string;
  /** What the filter is started with; JSON if there is a schema. Empty by default. */
  readonly configuration?: string;
  /** The id by which a module of several plugins is told which one it is; empty by default. */
  readonly rootId?: string;
  readonly limits?: CheckLimits;
  /** The compiled trial-thread.js; for tests that run from the sources. */
  readonly thread?: URL;
}

export interface CheckedModule {
  readonly abi: string;
  readonly schema?: unknown;
  /** Of the module's memory after the smoke requests. */
  readonly memoryBytes: number;
}

/** Characters. Wherever a version is kept, its record has room for it. */
const MOST_SCHEMA = 262_144;
const COMPILED_THREAD = new URL("./trial-thread.js", import.meta.url);

/** Never rejects for a bad module, whatever it does. */
export async function checkModule(request: CheckRequest): Promise<Outcome<CheckedModule>> {
  const { wasm, limits = DEFAULT_LIMITS } = request;
  if (wasm.length > limits.moduleBytes)
    return refuse("filter-too-large", `it has ${wasm.length} bytes; at most ${limits.moduleBytes} are taken`);
  if (!isWasm(wasm)) return refuse("filter-not-wasm", "it does not begin as a WebAssembly 1.0 module does");
  const sections = readSections(wasm);
  if (!sections) return refuse("filter-truncated", "it ends within a section: part of it is missing");
  const compiled = await compile(wasm);
  if ("fault" in compiled) return compiled;
  const abi = checkInterface(compiled.value);
  if ("fault" in abi) return abi;
  const schema = readSchema(compiled.value, request.schema);
  if ("fault" in schema) return schema;
  const configured = checkConfiguration(schema.value, request.configuration);
  if ("fault" in configured) return configured;
  const pages = Math.floor(limits.memoryBytes / PAGE_BYTES);
  if (initialPages(sections) > pages)
    return refuse("filter-memory-limit", `it starts with more than ${limits.memoryBytes} bytes of memory`);
  const limited = withMemoryLimit(sections, pages);
  const configuration = Buffer.from(request.configuration ?? "");
  const { rootId = "", thread } = request;
  const trial = await runTrial({ wasm: limited, abi: abi.value, configuration, rootId, pages }, limits, thread);
  if ("fault" in trial) return trial;
  const { memoryBytes } = trial.value;
  return { value: { abi: abi.value, memoryBytes, ...(schema.value === undefined ? {} : { schema: schema.value }) } };
}

async function compile(wasm: Uint8Array): Promise<Outcome<WebAssembly.Module>> {
  try {
    return { value: await WebAssembly.compile(Uint8Array.from(wasm)) };
  } catch (error) {
    return refuse("filter-does-not-compile", error instanceof Error ? error.message : String(error));
  }
}

/** The ABI that the module speaks, if Envoy has all that it imports of that. */
function checkInterface(module: WebAssembly.Module): Outcome<string> {
  const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
  const abi = exported.map((name) => ABI_MARKERS.get(name)).find((found) => found !== undefined);
  if (!abi)
    return refuse(
      "filter-unknown-abi",
      `it is no proxy-wasm filter: it exports none of ${[...ABI_MARKERS.keys()].join(", ")}`,
    );
  const unknown = WebAssembly.Module.imports(module).filter(
    ({ module: from, name, kind }) => kind !== "function" || !offersCall(abi, from, name),
  );
  if (unknown.length > 0) {
    const names = unknown.map(({ module: from, name }) => `${from}.${name}`).join(", ");
    return refuse("filter-unknown-import", `Envoy 1.40 does not offer what it imports to ABI ${abi}: ${names}`);
  }
  const lacking = ["memory"].filter((name) => !exported.includes(name));
  if (!exported.includes("proxy_on_memory_allocate") && !exported.includes("malloc"))
    lacking.push("proxy_on_memory_allocate");
  if (lacking.length > 0) return refuse("filter-lacks-export", `it does not export ${lacking.join(" and ")}`);
  return { value: abi };
}

function readSchema(module: WebAssembly.Module, beside: string | undefined): Outcome<unknown> {
  const [section] = WebAssembly.Module.customSections(module, SCHEMA_SECTION);
  const text = beside ?? (section && Buffer.from(section).toString("utf8"));
  if (text === undefined) return { value: undefined };
  if (text.length > MOST_SCHEMA)
    return refuse("filter-bad-schema", `its configuration schema has more than ${MOST_SCHEMA} characters`);
  try {
    const schema: unknown = JSON.parse(text);
    new Ajv().compile(schema as object);
    return { value: schema };
  } catch (error) {
    return refuse("filter-bad-schema", `its configuration schema is none: ${(error as Error).message}`);
  }
}

function checkConfiguration(schema: unknown, configuration: string | undefined): Outcome<void> {
  if (schema === undefined || configuration === undefined) return { value: undefined };
  let value: unknown;
  try {
    value = JSON.parse(configuration);
  } catch (error) {
    return refuse("filter-bad-configuration", `the configuration is no JSON: ${(error as Error).message}`);
  }
  const ajv = new Ajv({ allErrors: true });
  if (ajv.validate(schema as object, value)) return { value: undefined };
  return refuse("filter-bad-configuration", ajv.errorsText(ajv.errors, { dataVar: "configuration" }));
}

async function runTrial(
  request: TrialRequest,
  limits: CheckLimits,
  thread: URL = COMPILED_THREAD,
): Promise<Outcome<{ readonly memoryBytes: number }>> {
  if (!existsSync(fileURLToPath(thread))) throw new Error(`${fileURLToPath(thread)} is missing: the build makes it`);
  const worker = new Worker(thread, { resourceLimits: { maxOldGenerationSizeMb: 256 } });
  const outcome = await new Promise<TrialOutcome | "late" | Error>((resolve) => {
    const timer = setTimeout(() => resolve("late"), limits.trialMillis);
    worker.once("message", (message: TrialOutcome) => resolve(message));
    worker.once("error", resolve);
    worker.once("exit", () => clearTimeout(timer));
    worker.postMessage(request);
  });
  await worker.terminate();
  if (outcome === "late") return refuse("filter-does-not-end", `it was still running after ${limits.trialMillis} ms`);
  if (outcome instanceof Error) return refuse("filter-traps", outcome.message);
  return "code" in outcome ? refuse(outcome.code, outcome.message) : { value: outcome };
}
