// What translation depends on besides the mesh and the proxy. Arguments, never the environment.
import type { WasmExtension } from "../mesh/extensions.js";
import type { Proxy } from "../proxy/proxy.js";
import type { LoadedExtension } from "./extension-config.js";

export interface TranslateOptions {
  /** The traffic filter's module; its version is a hash of its bytes. */
  readonly trafficFilter: {
    readonly wasm: Uint8Array;
    /** Another version of it for some proxies; undefined means the module above. */
    readonly moduleFor?: (proxy: Proxy) => Uint8Array | undefined;
  };
  /** The module that draws faults for every try; without it those faults are not injected. */
  readonly tryFilter?: Uint8Array;
  /** The modules of extensions; one that has none, or all without this, has a stand-in. */
  readonly extension?: (extension: WasmExtension, proxy: Proxy) => LoadedExtension | undefined;
  /** Where proxies log each request and connection, such as /dev/stdout; undefined means nowhere. */
  readonly accessLog?: string;
}
