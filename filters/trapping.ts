// A bad version of the traffic filter, for the demo: it takes every decision as the good one does, and traps on every tenth
// request of a worker.
import * as traffic from "./traffic";

export * from "./lifecycle";

let requests: u32 = 0;

export function proxy_on_request_headers(context: u32, count: u32, end: u32): u32 {
  if (++requests % 10 === 0) unreachable();
  return traffic.proxy_on_request_headers(context, count, end);
}
