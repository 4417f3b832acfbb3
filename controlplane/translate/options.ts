// What translation depends on besides the mesh and the proxy. Arguments, never the environment.

export interface TranslateOptions {
  /** The traffic filter's module; its version is a hash of its bytes. */
  readonly trafficFilter: { readonly wasm: Uint8Array };
  /** Where proxies log each request and connection, such as /dev/stdout; undefined means nowhere. */
  readonly accessLog?: string;
}
