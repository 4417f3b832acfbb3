// Runs a module as Envoy would, just so far that it must show whether it starts and answers: the work of the trial thread.

export interface TrialRequest {
  readonly wasm: Uint8Array;
  readonly abi: string;
  readonly configuration: Uint8Array;
  readonly rootId: string;
  readonly pages: number;
}

export type TrialOutcome =
  | { readonly memoryBytes: number }
  | { readonly code: "filter-does-not-start" | "filter-traps" | "filter-memory-limit"; readonly message: string };

type Call = (...args: (number | bigint)[]) => number | bigint;
interface Exports {
  readonly memory?: WebAssembly.Memory;
  readonly [name: string]: unknown;
}

const PAGE_BYTES = 65_536;
const OK = 0;
const NOT_FOUND = 1;
const ROOT = 1;
const STREAM = 2;
const PLUGIN_CONFIGURATION = 7;
const REQUEST_HEADERS = 0;
const SMOKE_REQUESTS = 3;

/** The headers of the smoke request. */
const HEADERS: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "smoke.headgate.internal"],
  [":path", "/smoke?test=1"],
  ["user-agent", "headgate"],
];

/** Synchronous, and as long as the module pleases: whoever waits must be able to end the thread. */
export function tryModule({ wasm, configuration, rootId, pages }: TrialRequest): TrialOutcome {
  const module = new WebAssembly.Module(Uint8Array.from(wasm));
  let phase: "filter-does-not-start" | "filter-traps" = "filter-does-not-start";
  let exports: Exports = {};
  // It may ask for more at once than is left.
  const full = () => (exports.memory?.buffer.byteLength ?? 0) > (pages * PAGE_BYTES) / 2;
  try {
    const instance = new WebAssembly.Instance(
      module,
      hostOf(module, () => exports, configuration, rootId),
    );
    exports = instance.exports as Exports;
    start(exports, configuration.length);
    phase = "filter-traps";
    for (let i = 0; i < SMOKE_REQUESTS; i++) request(exports, STREAM + i);
    return { memoryBytes: exports.memory?.buffer.byteLength ?? 0 };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (full()) return { code: "filter-memory-limit", message: `it wants more than ${pages * PAGE_BYTES} bytes` };
    return { code: phase, message };
  }
}

/** Calls what the module may export; undefined if it does not. */
function call(exports: Exports, name: string, ...args: number[]): number | bigint | undefined {
  const found = exports[name];
  return typeof found === "function" ? (found as Call)(...args) : undefined;
}

function start(exports: Exports, configurationSize: number): void {
  call(exports, exports._initialize ? "_initialize" : "_start");
  call(exports, "proxy_on_context_create", ROOT, 0);
  if (call(exports, "proxy_on_vm_start", ROOT, 0) === 0) throw new Error("proxy_on_vm_start says no");
  if (call(exports, "proxy_on_configure", ROOT, configurationSize) === 0)
    throw new Error("proxy_on_configure refuses the configuration");
}

/** One request without bodies, through every callback that the module has for it. */
function request(exports: Exports, context: number): void {
  call(exports, "proxy_on_context_create", context, ROOT);
  call(exports, "proxy_on_request_headers", context, HEADERS.length, 1);
  call(exports, "proxy_on_response_headers", context, 0, 1);
  for (const name of ["proxy_on_done", "proxy_on_log", "proxy_on_delete"]) call(exports, name, context);
}

/** Everything the module imports: what a start and a smoke request need, and "done, nothing found" for the rest. */
function hostOf(
  module: WebAssembly.Module,
  exports: () => Exports,
  configuration: Uint8Array,
  rootId: string,
): Record<string, Record<string, Call>> {
  const calls = hostCalls(exports, configuration, rootId);
  const imports: Record<string, Record<string, Call>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind !== "function") throw new Error(`it imports ${from}.${name}, which is no function`);
    imports[from] ??= {};
    imports[from][name] = calls[name] ?? (name.startsWith("proxy_get_") ? () => NOT_FOUND : () => OK);
  }
  return imports;
}

function hostCalls(exports: () => Exports, configuration: Uint8Array, rootId: string): Record<string, Call> {
  const view = () => new DataView((exports().memory as WebAssembly.Memory).buffer);
  const read = (at: number, length: number) => Buffer.from(view().buffer, at, length).toString("utf8");
  let metrics = 0;
  const give = (bytes: Uint8Array, pointer: number, size: number) => {
    const allocate = exports().proxy_on_memory_allocate ? "proxy_on_memory_allocate" : "malloc";
    const at = bytes.length === 0 ? 0 : Number(call(exports(), allocate, bytes.length) ?? 0);
    new Uint8Array(view().buffer, at, bytes.length).set(bytes);
    view().setUint32(pointer, at, true);
    view().setUint32(size, bytes.length, true);
    return OK;
  };
  const time: Call = (...args) => {
    view().setBigUint64(Number(args.at(-1)), 1_700_000_000_000_000_000n, true);
    return OK;
  };
  const zeroes: Call = (...args) => {
    for (const at of args) view().setUint32(Number(at), 0, true);
    return OK;
  };
  return {
    proxy_get_header_map_value: (map, name, length, pointer, size) => {
      const found = HEADERS.find(([header]) => header === read(Number(name), Number(length)));
      if (map !== REQUEST_HEADERS || !found) return NOT_FOUND;
      return give(Buffer.from(found[1]), Number(pointer), Number(size));
    },
    proxy_get_header_map_pairs: (map, pointer, size) =>
      give(encodePairs(map === REQUEST_HEADERS ? HEADERS : []), Number(pointer), Number(size)),
    proxy_get_property: (path, length, pointer, size) => {
      if (read(Number(path), Number(length)) !== "plugin_root_id") return NOT_FOUND;
      return give(Buffer.from(rootId), Number(pointer), Number(size));
    },
    proxy_get_buffer_bytes: (buffer, start, length, pointer, size) => {
      if (buffer !== PLUGIN_CONFIGURATION) return NOT_FOUND;
      const from = Number(start);
      return give(configuration.subarray(from, from + Number(length)), Number(pointer), Number(size));
    },
    proxy_get_configuration: (pointer, size) => give(configuration, Number(pointer), Number(size)),
    proxy_get_current_time_nanoseconds: time,
    clock_time_get: time,
    proxy_define_metric: (_type, _name, _length, result) => {
      view().setUint32(Number(result), ++metrics, true);
      return OK;
    },
    environ_sizes_get: zeroes,
    args_sizes_get: zeroes,
    proc_exit: (code) => {
      throw new Error(`it exits with ${code}`);
    },
    fd_write: (_file, vectors, count, written) => {
      let total = 0;
      for (let i = 0; i < Number(count); i++) total += view().getUint32(Number(vectors) + 8 * i + 4, true);
      view().setUint32(Number(written), total, true);
      return OK;
    },
  };
}

/** A count, the lengths of each name and value, then each name and value followed by NUL. */
function encodePairs(pairs: readonly (readonly [string, string])[]): Uint8Array {
  const texts = pairs.flat().map((text) => Buffer.from(text));
  const lengths = Buffer.alloc(4 + 4 * texts.length);
  lengths.writeUInt32LE(pairs.length);
  for (const [i, text] of texts.entries()) lengths.writeUInt32LE(text.length, 4 + 4 * i);
  return Buffer.concat([lengths, ...texts.flatMap((text) => [text, Buffer.alloc(1)])]);
}
