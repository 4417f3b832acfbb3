// The part of JavaScript's WebAssembly API that the host uses; it is no part of the language's library types.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): readonly { module: string; name: string; kind: string }[];
    static exports(module: Module): readonly { name: string; kind: string }[];
    static customSections(module: Module, name: string): readonly ArrayBuffer[];
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, (...args: never[]) => unknown>>);
    readonly exports: Record<string, unknown>;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
}
