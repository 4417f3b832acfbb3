// A small proxy-wasm host: runs the filter's module as Envoy does, for one request at a time.

/** What the module asks of its host while it handles a request, and what it answers. */
export interface Stream {
  /** By the property's path, its parts joined by NUL. */
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly headers: readonly (readonly [string, string])[];
  /** Nanoseconds since the epoch; the monotonic clock shows the same. */
  now: bigint;
  /** Written by the module: filter state, by name without "wasm.". */
  readonly filterState: Map<string, string>;
  /** What the module answered in the backend's place. */
  localResponse?: { readonly httpStatus: number; readonly grpcStatus?: number };
}

const OK = 0;
const NOT_FOUND = 1;
const ROOT_CONTEXT = 1;
const STREAM_CONTEXT = 2;

interface Module {
  readonly memory: WebAssembly.Memory;
  proxy_on_memory_allocate(size: number): number;
  proxy_on_vm_start(context: number, size: number): number;
  proxy_on_configure(context: number, size: number): number;
  proxy_on_request_headers(context: number, count: number, endOfStream: number): number;
  proxy_on_tick(context: number): void;
  headgate_seed(seed: bigint): void;
  headgate_clause(): number;
  headgate_destination(): number;
  headgate_unmet_condition(clause: number): number;
}

/** One instance of the module. Its calls are synchronous; handle one stream after another. */
export class ProxyWasmHost {
  readonly module: Module;
  /** Counters by name, as the module counted since it was instantiated. */
  readonly counters = new Map<string, number>();
  private readonly counterNames: string[] = [];
  private stream: Stream | undefined;

  /** Compiles synchronously; throws WebAssembly.CompileError or LinkError for a module that is not ours. */
  constructor(wasm: Uint8Array) {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(wasm)), {
      env: this.hostCalls(),
      wasi_snapshot_preview1: {
        random_get: () => OK,
        clock_time_get: (_clock: number, _precision: bigint, result: number) => this.writeTime(result),
      },
    });
    this.module = instance.exports as unknown as Module;
    this.module.proxy_on_vm_start(ROOT_CONTEXT, 0);
    this.module.proxy_on_configure(ROOT_CONTEXT, 0);
  }

  /** Has the module decide one request; true if it lets the request go on at once. */
  requestHeaders(stream: Stream): boolean {
    this.stream = stream;
    return this.module.proxy_on_request_headers(STREAM_CONTEXT, stream.headers.length, 1) === 0;
  }

  /** Lets the module see a time when whatever it holds back is due. */
  tick(stream: Stream): void {
    this.stream = stream;
    this.module.proxy_on_tick(ROOT_CONTEXT);
  }

  private hostCalls(): Record<string, (...args: number[]) => number> {
    const current = () => this.stream as Stream;
    return {
      proxy_get_property: (path = 0, length = 0, pointer = 0, size = 0) => {
        const value = current().properties.get(this.read(path, length));
        return value ? this.give(value, pointer, size) : NOT_FOUND;
      },
      proxy_set_property: (name = 0, nameLength = 0, value = 0, length = 0) => {
        current().filterState.set(this.read(name, nameLength), this.read(value, length));
        return OK;
      },
      proxy_get_header_map_value: (_map = 0, name = 0, length = 0, pointer = 0, size = 0) => {
        const wanted = this.read(name, length);
        const found = current().headers.find(([name]) => name === wanted);
        return found ? this.give(Buffer.from(found[1]), pointer, size) : NOT_FOUND;
      },
      proxy_get_header_map_pairs: (_map = 0, pointer = 0, size = 0) =>
        this.give(encodePairs(current().headers), pointer, size),
      proxy_get_current_time_nanoseconds: (result = 0) => this.writeTime(result),
      proxy_call_foreign_function: () => OK,
      proxy_set_effective_context: () => OK,
      proxy_set_tick_period_milliseconds: () => OK,
      proxy_continue_stream: () => OK,
      proxy_send_local_response: (...args) => {
        const [httpStatus = 0, , , , , , , grpcStatus = -1] = args;
        current().localResponse = { httpStatus, ...(grpcStatus < 0 ? {} : { grpcStatus }) };
        return OK;
      },
      proxy_define_metric: (_type = 0, name = 0, length = 0, result = 0) => {
        this.counterNames.push(this.read(name, length));
        this.view().setUint32(result, this.counterNames.length, true);
        return OK;
      },
      proxy_increment_metric: (counter = 0, offset = 0) => {
        const name = this.counterNames[counter - 1] ?? "";
        this.counters.set(name, (this.counters.get(name) ?? 0) + Number(offset));
        return OK;
      },
    };
  }

  private writeTime(result: number): number {
    this.view().setBigUint64(result, this.stream?.now ?? 0n, true);
    return OK;
  }

  /** Copies bytes into the module's memory and writes where they lie, and how many they are. */
  private give(bytes: Uint8Array, pointer: number, size: number): number {
    const start = this.module.proxy_on_memory_allocate(bytes.length);
    new Uint8Array(this.module.memory.buffer, start, bytes.length).set(bytes);
    this.view().setUint32(pointer, start, true);
    this.view().setUint32(size, bytes.length, true);
    return OK;
  }

  private read(start: number, length: number): string {
    return Buffer.from(this.module.memory.buffer, start, length).toString("utf8");
  }

  private view(): DataView {
    return new DataView(this.module.memory.buffer);
  }
}

/** A count, the lengths of each name and value, then each name and value followed by NUL. */
function encodePairs(pairs: readonly (readonly [string, string])[]): Uint8Array {
  const texts = pairs.flat().map((text) => Buffer.from(text));
  const lengths = Buffer.alloc(4 + 4 * texts.length);
  lengths.writeUInt32LE(pairs.length);
  for (const [i, text] of texts.entries()) lengths.writeUInt32LE(text.length, 4 + 4 * i);
  return Buffer.concat([lengths, ...texts.flatMap((text) => [text, Buffer.alloc(1)])]);
}
