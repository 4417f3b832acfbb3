// Counters that Envoy shows among its statistics, as wasmcustom.<name>.
import * as host from "@solo-io/proxy-runtime/assembly/imports";

const RESULT: usize = memory.data(4, 4);
const COUNTER: i32 = 0;

/** The id of the counter of that name, never 0; 0 if Envoy refuses it. */
export function defineCounter(name: usize, length: usize): u32 {
  if (host.proxy_define_metric(COUNTER, name, length, RESULT) !== 0) return 0;
  return load<u32>(RESULT);
}

export function count(counter: u32): void {
  host.proxy_increment_metric(counter, 1);
}
