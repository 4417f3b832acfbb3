// A bad version of the traffic filter, for the demo: it takes every decision as the good one does, and traps on every tenth
// request of a worker.
import * as traffic from "./traffic";

export {
  proxy_abi_version_0_2_1,
  proxy_on_configure,
  proxy_on_memory_allocate,
  proxy_on_tick,
  proxy_on_vm_start,
} from "./traffic";

let requests: u32 = 0;

export function proxy_on_request_headers(context: u32, count: u32, end: u32): u32 {
  if (++requests % 10 === 0) unreachable();
  return traffic.proxy_on_request_headers(context, count, end);
}
