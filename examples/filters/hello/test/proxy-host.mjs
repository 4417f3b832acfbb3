// Runs a filter as Envoy does, one request at a time: as much of a host as tests of headers need.
const OK = 0;
const NOT_FOUND = 1;
const ROOT = 1;
const PLUGIN_CONFIGURATION = 7;

export class ProxyHost {
  /** What the filter wrote to the log. */
  logged = [];
  exports;
  #configuration;
  #headers = [];
  #answer;
  #context = ROOT;

  /** Throws when the filter refuses the configuration. */
  constructor(wasm, configuration = {}) {
    this.#configuration = JSON.stringify(configuration);
    const env = this.#calls();
    const others = () => OK;
    const imports = {};
    const module = new WebAssembly.Module(wasm);
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from] ??= {};
      imports[from][name] = env[name] ?? others;
    }
    this.exports = new WebAssembly.Instance(module, imports).exports;
    this.#call("proxy_on_context_create", ROOT, 0);
    this.#call("proxy_on_vm_start", ROOT, 0);
    if (this.#call("proxy_on_configure", ROOT, this.#configuration.length) === 0) throw new Error("refused");
  }

  /** Sends a request by; `answer` is there if the filter answered it itself, else both sides' headers as it left them. */
  request(headers, responseHeaders = { ":status": "200" }) {
    this.#answer = undefined;
    this.#headers = [{ ...headers }, undefined, { ...responseHeaders }];
    const context = ++this.#context;
    this.#call("proxy_on_context_create", context, ROOT);
    this.#call("proxy_on_request_headers", context, Object.keys(headers).length, 1);
    if (!this.#answer) this.#call("proxy_on_response_headers", context, Object.keys(responseHeaders).length, 1);
    for (const name of ["proxy_on_done", "proxy_on_log", "proxy_on_delete"]) this.#call(name, context);
    return this.#answer ? { answer: this.#answer } : { request: this.#headers[0], response: this.#headers[2] };
  }

  #call(name, ...args) {
    return this.exports[name]?.(...args);
  }

  #calls() {
    return {
      proxy_log: (_level, text, length) => {
        this.logged.push(this.#read(text, length));
        return OK;
      },
      proxy_get_buffer_bytes: (buffer, _start, _length, pointer, size) =>
        buffer === PLUGIN_CONFIGURATION ? this.#give(this.#configuration, pointer, size) : NOT_FOUND,
      proxy_get_header_map_value: (map, name, length, pointer, size) => {
        const value = this.#headers[map]?.[this.#read(name, length)];
        return value === undefined ? NOT_FOUND : this.#give(value, pointer, size);
      },
      proxy_replace_header_map_value: (map, name, nameLength, value, length) => {
        this.#headers[map][this.#read(name, nameLength)] = this.#read(value, length);
        return OK;
      },
      proxy_remove_header_map_value: (map, name, length) => {
        delete this.#headers[map][this.#read(name, length)];
        return OK;
      },
      proxy_send_local_response: (status, _details, _detailsLength, body, length) => {
        this.#answer = { status, body: this.#read(body, length) };
        return OK;
      },
    };
  }

  #give(text, pointer, size) {
    const bytes = Buffer.from(text);
    const start = bytes.length === 0 ? 0 : this.exports.proxy_on_memory_allocate(bytes.length);
    new Uint8Array(this.exports.memory.buffer, start, bytes.length).set(bytes);
    new DataView(this.exports.memory.buffer).setUint32(pointer, start, true);
    new DataView(this.exports.memory.buffer).setUint32(size, bytes.length, true);
    return OK;
  }

  #read(start, length) {
    return Buffer.from(this.exports.memory.buffer, start, length).toString("utf8");
  }
}
